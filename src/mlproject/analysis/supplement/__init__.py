"""A supplement is the few forced trials that close the gaps an audit finds in a study.

It is planned here; running it is `mlproject.experiments`' matter.
"""

"""The statistics behind what is claimed: intervals, shrunken estimates, tests, verdicts.

Nothing here knows of MLflow or of a picture; docs/claims.md has the error rates.
"""

"""The verdict over resolved trials: one table, one suite of expectations, sound or quarantined.

Nothing is changed here, and nothing written.
"""

"""Bytes or storages in, trial records out: files, logs of two kinds, Optuna storages, summaries.

What a source does not say is not added here: see `recovery.resolve`.
"""

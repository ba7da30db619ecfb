"""Analyses say something of studies that were run: audit, supplement, report, evaluation.

Studies are read through `mlproject.tracking`, never from Optuna's storage, and none is run here.
"""

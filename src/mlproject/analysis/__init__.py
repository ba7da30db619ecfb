"""What is said of studies: audit, supplement, report, evaluation.

Studies are read through `mlproject.tracking`, never from Optuna's storage, and none is run here.
"""

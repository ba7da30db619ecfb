"""What is said of studies: summary of the parent run, audit, supplement, report, evaluation.

Studies are read through `mlproject.tracking`, never from Optuna's storage, and none is run here.
"""

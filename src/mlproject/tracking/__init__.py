"""The names under which results are tracked, and all access to MLflow.

No Optuna: a trial arrives here as a `TrialRun`, wherever it comes from.
"""

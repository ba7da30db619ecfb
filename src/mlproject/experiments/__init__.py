"""How a study runs: launch, storage, objective, trial log, workers, study scripts.

Optuna and MLflow meet here; what is searched and what is said of it afterwards is elsewhere.
"""

"""How one model is trained. Knows torch and nothing of Optuna or MLflow."""

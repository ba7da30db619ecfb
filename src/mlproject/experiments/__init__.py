"""Studies: Optuna and MLflow tied together."""

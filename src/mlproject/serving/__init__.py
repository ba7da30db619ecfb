"""A trained network at work on new bars. Knows data and models, and nothing of MLflow or Optuna."""

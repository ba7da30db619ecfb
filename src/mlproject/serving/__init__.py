"""A trained network at work on new bars.

Knows data and models, and nothing of Optuna; `pyfunc` alone knows MLflow.
"""

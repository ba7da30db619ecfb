"""The names under which results are tracked, and all access to MLflow."""

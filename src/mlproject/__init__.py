"""Architecture search of transformers at a fixed parameter budget, tracked in MLflow."""

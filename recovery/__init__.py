"""Old text logs become MLflow runs: parse, resolve, validate, backfill."""

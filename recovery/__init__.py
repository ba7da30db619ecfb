"""Old text logs become MLflow runs: sources -> records -> resolve -> checks -> write.

Each value is proven from its source or left out; nothing in `mlproject` knows of this package.
"""

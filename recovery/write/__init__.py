"""Sound trials become MLflow runs: the plan, the runs and their tags, the parent run.

This is the only part of the recovery that writes.
"""

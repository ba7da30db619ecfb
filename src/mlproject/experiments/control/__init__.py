"""How a study that runs is steered from MLflow's UI, by the tag `control` of its parent run.

What is asked is read by a thread of its own (`listener`) and obeyed by the trials (`steering`).
"""

"""What a study searches and what it tries next: settings, search space, sampler, trial queue.

Optuna is known here, MLflow is not; how a trial is trained and tracked is elsewhere.
"""

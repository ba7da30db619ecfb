"""The name of an experiment, and what it gives its studies' names; without MLflow.

Which experiment a launch uses is in `store`, whose import takes seconds that workers do without.
"""

DEFAULT_EXPERIMENT = "phase6a"
RUN_VARIABLE = "MLFLOW_RUN_ID"
NAME_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
ID_VARIABLE = "MLFLOW_EXPERIMENT_ID"
EXPERIMENT_VARIABLES = (RUN_VARIABLE, NAME_VARIABLE, ID_VARIABLE)
"""Variables of the environment that say which experiment is meant (see `whose_run`)."""
_MLFLOW_DEFAULT_EXPERIMENT = "Default"


def study_prefix(experiment: str) -> str:
    """Return what the names of an experiment's studies begin with: its own name.

    `mlflow run` without --experiment-name runs in MLflow's own default experiment, which names
    nothing: studies there are called as on the command line without --experiment.
    """
    return DEFAULT_EXPERIMENT if experiment == _MLFLOW_DEFAULT_EXPERIMENT else experiment

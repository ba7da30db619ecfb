"""The kind of an experiment: what MLflow's UI is told an experiment is for.

The UI has a page for models that are trained, which lists runs, and one for applications of
language models, which does not. MLflow 3.17 sets no kind itself.
"""

from mlflow import MlflowClient

KIND_TAG = "mlflow.experimentKind"
MODEL_TRAINING = "custom_model_development"


def set_missing_kind(client: MlflowClient, experiment_id: str) -> None:
    """Say that an experiment is for models that are trained, unless its kind was chosen."""
    if not client.get_experiment(experiment_id).tags.get(KIND_TAG):
        client.set_experiment_tag(experiment_id, KIND_TAG, MODEL_TRAINING)

"""The tag by which a user steers a study: `control` on its parent run, set in MLflow's UI.

What may be asked, and what becomes of it, is in `mlproject.experiments.control`.
"""

from mlflow.exceptions import MlflowException

from mlproject.tracking.errors import is_refusal
from mlproject.tracking.names import CONTROL_DONE_TAG, CONTROL_TAG
from mlproject.tracking.store import TrackingStore


def read_control(store: TrackingStore, parent_run_id: str) -> str | None:
    """Read what is asked of a study; None where nothing is."""
    tags = store.client.get_run(parent_run_id).data.tags
    return str(tags.get(CONTROL_TAG, "")).strip() or None


def answer_control(store: TrackingStore, parent_run_id: str, asked: str, answer: str) -> None:
    """Keep what was done about it and remove the tag, unless something else is asked by now."""
    client = store.client
    client.set_tag(parent_run_id, CONTROL_DONE_TAG, answer)
    if read_control(store, parent_run_id) != asked:
        return
    try:
        client.delete_tag(parent_run_id, CONTROL_TAG)
    except MlflowException as error:
        if not is_refusal(error):  # else its user has removed it
            raise

"""A study's saved view: its trials as a table, with the columns that matter chosen.

MLflow's UI keeps saved views as tags of the experiment and lists them by name above the runs; a
link names one by its key. The encoding is that of MLflow 3.17: an envelope whose `state` is JSON
in JSON.
"""

import json
import re
import time

from mlproject.tracking.names import Metric, Param, Tag
from mlproject.tracking.store import TrackingStore

VIEW_TAG = "mlflow.sharedViewState."
"""What the name of the tag begins with; the rest of it is the view's key."""

_COLUMNS = (
    *(
        f"params.`{param}`"
        for param in (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)
    ),
    f"metrics.`{Metric.BEST_VAL_LOSS}`",
    f"metrics.`{Metric.SKILL}`",
    "attributes.`Duration`",
    f"tags.`{Tag.TRIAL_STATE}`",
)
_NO_KEY = re.compile(r"[^\w.-]+", re.ASCII)
_LONGEST_KEY = 200


def view_key(study_name: str) -> str:
    """The key of a study's view, of signs that a tag's name and a link may hold.

    All studies of an experiment begin with its name, so that what is replaced makes none alike.
    """
    return _NO_KEY.sub("-", study_name)[:_LONGEST_KEY]


def save_view(store: TrackingStore, study_name: str) -> None:
    """Save the view of a study, once: one that a user has changed since stays as it is."""
    name = f"{VIEW_TAG}{view_key(study_name)}"
    if name not in store.client.get_experiment(store.experiment_id).tags:
        store.client.set_experiment_tag(store.experiment_id, name, _envelope(study_name))


def _envelope(study_name: str) -> str:
    now = int(time.time() * 1000)
    state = {
        "searchFilter": (
            f"tags.{Tag.STUDY_NAME} = '{study_name}' and tags.{Tag.TRIAL_NUMBER} IS NOT NULL"
        ),
        "orderByKey": f"metrics.`{Metric.BEST_VAL_LOSS}`",
        "orderByAsc": True,
        "selectedColumns": _COLUMNS,
        "columnOrder": _COLUMNS,
    }
    return json.dumps(
        {
            "name": f"trials of {study_name}",
            "createdAt": now,
            "updatedAt": now,
            "state": json.dumps(state),
        }
    )

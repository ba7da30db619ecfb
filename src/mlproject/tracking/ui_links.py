"""Links into MLflow's UI that open a study as it is meant to be looked at.

Its trials as a table (`saved_view`), and its best trials on the Compare page beside recovered ones
of the same task.
"""

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from mlflow.entities import Run

from mlproject.text.sqlite_urls import sqlite_file
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.names import PARENT_RUN_ID_TAG, Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.saved_view import save_view, view_key
from mlproject.tracking.store import TrackingStore, connect, tracking_uri

LOCAL_UI = "http://127.0.0.1:5000"
"""Where `mlflow ui` and `make ui` answer."""
MOST_COMPARED = 3
"""Of the study's own trials, and of recovered ones beside them."""

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_MODEL_TRAINING = {"workflowType": "machine_learning"}
"""Without it MLflow 3.17 opens the page of language models, whatever kind an experiment is."""


@dataclass(frozen=True, kw_only=True)
class UiAddress:
    """Where the UI of a tracking store answers."""

    url: str
    how_to_start: str | None = None
    """The command that starts it; None where whoever keeps the store shows it."""


@dataclass(frozen=True, kw_only=True)
class StudyLinks:
    """Where a study is found in the UI."""

    study_name: str
    address: UiAddress | None
    """None where it is not known."""
    trials: str
    """What follows the address."""
    compare: str | None
    """None where there are not two trials to be compared."""

    def as_markdown(self) -> str:
        """The links as a page of the UI itself can hold them, whatever its address."""
        links = f"[All trials, with their columns]({self.trials})"
        if self.compare is not None:
            links += f" · [The best, compared]({self.compare})"
        return links

    def as_lines(self) -> list[str]:
        """The links, a line each; none where the address is not known."""
        if self.address is None:
            return []
        lines = [f"trials     {self.address.url}/{self.trials}"]
        if self.compare is not None:
            lines.append(f"compare    {self.address.url}/{self.compare}")
        if self.address.how_to_start is not None:
            lines.append(f"           if nothing answers there: {self.address.how_to_start}")
        return lines


def ui_address(store_uri: str) -> UiAddress | None:
    """Return where a store's UI is; None where it is not known, as with a service's own scheme.

    A server shows it itself; for a database it is `LOCAL_UI`, once it is started.
    """
    parts = urlsplit(store_uri)
    if parts.scheme in ("http", "https"):
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        return UiAddress(url=url)
    if parts.scheme.partition("+")[0] not in _DATABASES:
        return None
    # The URL of a server may hold a password, which has no place on a command line.
    is_file = sqlite_file(store_uri) is not None
    where = shlex.quote(store_uri) if is_file else '"$MLFLOW_TRACKING_URI"'
    return UiAddress(url=LOCAL_UI, how_to_start=f"mlflow ui --backend-store-uri {where}")


def study_links(store: TrackingStore, study_name: str) -> StudyLinks:
    """Return the links of a study, whose view is saved where it is not yet."""
    save_view(store, study_name)
    experiment = store.experiment_id
    query = urlencode({**_MODEL_TRAINING, "viewStateShareKey": view_key(study_name)})
    compared = [str(run.info.run_id) for run in _worth_comparing(store, study_name)]
    return StudyLinks(
        study_name=study_name,
        address=ui_address(store.uri),
        trials=f"#/experiments/{quote(experiment, safe='')}/runs?{query}",
        compare=_compare(experiment, compared) if len(compared) > 1 else None,
    )


def newest_links(most: int) -> list[StudyLinks]:
    """Return the links of the studies in the tracking store, of all experiments, newest first.

    Raises:
        TrackingUnreachable: the store does not answer.
    """
    file = sqlite_file(tracking_uri())
    if file is not None and not file.exists():
        return []
    store = connect(None, may_differ=True)
    with tracking_errors(store.uri):
        experiments = {each.experiment_id: each.name for each in store.client.search_experiments()}
        parents = store.client.search_runs(
            list(experiments),
            f"tags.{Tag.STUDY_NAME} IS NOT NULL AND tags.`{PARENT_RUN_ID_TAG}` IS NULL",
            order_by=["attributes.start_time DESC"],
            max_results=most,
        )
        return [
            study_links(
                replace(
                    store,
                    experiment_name=experiments[parent.info.experiment_id],
                    found_experiment_id=parent.info.experiment_id,
                ),
                parent.data.tags[Tag.STUDY_NAME],
            )
            for parent in parents
        ]


def _compare(experiment_id: str, run_ids: Sequence[str]) -> str:
    lists = {"runs": run_ids, "experiments": [experiment_id]}
    query = {name: json.dumps(ids, separators=(",", ":")) for name, ids in lists.items()}
    return f"#/compare-runs?{urlencode({**query, **_MODEL_TRAINING})}"


def _worth_comparing(store: TrackingStore, study_name: str) -> list[Run]:
    """The best trials of the study, then the best recovered ones of the same task and horizon.

    Those of the same budget where there are any; losses of another horizon are another thing.
    """
    best = _best(store, [f"tags.{Tag.STUDY_NAME} = '{study_name}'"])
    if not best:
        return []
    params = best[0].data.params
    same = [
        f"params.{name} = '{params[name]}'"
        for name in (Param.TASK, Param.HORIZON, Param.BUDGET)
        if name in params
    ]
    is_recovered = f"tags.{Tag.ORIGIN} = '{Origin.LOG}'"
    own = {run.info.run_id for run in best}
    # Some of the recovered ones may be the study's own best.
    recovered = _best(store, [is_recovered, *same]) or _best(store, [is_recovered, *same[:2]])
    return [*best, *(run for run in recovered if run.info.run_id not in own)]


def _best(store: TrackingStore, conditions: Iterable[str]) -> list[Run]:
    runs = store.client.search_runs(
        [store.experiment_id],
        " AND ".join([*conditions, f"tags.{Tag.TRIAL_STATE} = '{TrialState.COMPLETE}'"]),
        order_by=[f"metrics.{Metric.BEST_VAL_LOSS} ASC"],
        max_results=MOST_COMPARED,
    )
    return [run for run in runs if Metric.BEST_VAL_LOSS in run.data.metrics]

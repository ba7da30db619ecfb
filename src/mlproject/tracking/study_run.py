"""The parent run of a study: one, however often the study is launched."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Run, RunTag
from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param as MlflowParam
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from sqlalchemy.exc import SQLAlchemyError

from mlproject.data.markets import Markets
from mlproject.text.phrases import counted
from mlproject.tracking.names import LAUNCH_OF_TAG, PARENT_RUN_ID_TAG, Origin, Tag
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.whose_run import find_parents, hang_orphans

_logger = logging.getLogger(__name__)
_PROCESS_DIED = "the launch ended without a word (killed, or lost its machine)"


def open_study_run(store: TrackingStore, study_name: str) -> str:
    """Open the study's parent run, RUNNING from now on, and return its id.

    The first launch's own run becomes the parent. A later launch by `mlflow run` hangs its run
    under the parent as a launch record; records that earlier, killed launches left RUNNING are
    closed as FAILED. Which run is the parent is decided in `whose_run`.
    """
    client = store.client
    parents = find_parents(client, store.experiment_id, study_name)
    if not parents:
        return _begin_study_run(store, study_name)
    parent_id, *others = [str(run.info.run_id) for run in parents]
    for other in others:
        _logger.warning(
            "study %s has a second parent run, %s: trials are written to %s and counted once; "
            "delete the one that you do not need",
            study_name,
            other,
            parent_id,
        )
    if store.launch_run_id not in (None, parent_id):
        client.update_run(store.launch_run_id, name=f"launch of {study_name}")
        client.set_tag(store.launch_run_id, LAUNCH_OF_TAG, study_name)
        client.set_tag(store.launch_run_id, PARENT_RUN_ID_TAG, parent_id)
    client.update_run(parent_id, status="RUNNING")
    for run in child_runs(store, parent_id, "attributes.status = 'RUNNING'"):
        is_launch = Tag.TRIAL_NUMBER not in run.data.tags
        if is_launch and run.info.run_id != store.launch_run_id:
            client.set_tag(run.info.run_id, Tag.FAILURE_REASON, _PROCESS_DIED)
            client.set_terminated(run.info.run_id, "FAILED")
    return parent_id


def _begin_study_run(store: TrackingStore, study_name: str) -> str:
    client, tags = store.client, {Tag.STUDY_NAME.value: study_name}
    if store.launch_run_id is None:
        run = client.create_run(store.experiment_id, run_name=study_name, tags=resolve_tags(tags))
    else:
        client.set_tag(store.launch_run_id, Tag.STUDY_NAME, study_name)
        client.update_run(store.launch_run_id, name=study_name)
        run = client.get_run(store.launch_run_id)
    orphans = hang_orphans(client, run, study_name)
    if orphans:
        _logger.warning(
            "the parent run of study %s was deleted: its %s hang under a new one, %s",
            study_name,
            counted(orphans, "trial"),
            run.info.run_id,
        )
    return str(run.info.run_id)


def open_recovered_study_run(store: TrackingStore, study_name: str, started_ms: int) -> Run:
    """Find the study's parent run, or create it with its true start; nothing is launched."""
    parent = find_study_run(store, study_name)
    if parent is not None:
        return parent
    tags = {Tag.STUDY_NAME.value: study_name, Tag.ORIGIN.value: Origin.LOG.value}
    return store.client.create_run(
        store.experiment_id,
        start_time=started_ms,
        run_name=study_name,
        tags=resolve_tags(tags),
    )


def close_study_run(
    store: TrackingStore, run_id: str, status: str, ended_ms: int | None = None
) -> None:
    """End the parent run, by default now: FINISHED, KILLED by the user, or FAILED."""
    store.client.set_terminated(run_id, status, ended_ms)


def find_study_run(store: TrackingStore, study_name: str) -> Run | None:
    """Find the study's parent run; see `whose_run`."""
    parents = find_parents(store.client, store.experiment_id, study_name)
    return parents[0] if parents else None


def child_runs(store: TrackingStore, parent_run_id: str, condition: str | None = None) -> list[Run]:
    """Read the runs under the parent: trials (with a `trial_number`) and launch records.

    All of them, or those that meet a `condition` in MLflow's search language.
    """
    parent = f"tags.`{PARENT_RUN_ID_TAG}` = '{parent_run_id}'"
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            f"{parent} AND {condition}" if condition else parent,
            max_results=1000,
            page_token=token,
        )
        runs.extend(page)
        token = page.token
        if not token:
            return runs


@contextmanager
def study_run_closed(store: TrackingStore, run_id: str) -> Iterator[None]:
    """Close the parent run, and the launch's own, should the block not come to its end."""
    try:
        yield
    except BaseException as error:
        with suppress(MlflowException, SQLAlchemyError, OSError):
            end_launch(store, run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
        raise


@contextmanager
def launch_run_closed(store: TrackingStore) -> Iterator[None]:
    """Close the launch's own run, should the block not come to its end."""
    with ExitStack() as stack:
        if store.launch_run_id is not None:
            stack.enter_context(study_run_closed(store, store.launch_run_id))
        yield


def end_launch(store: TrackingStore, run_id: str, status: str) -> None:
    """End the parent run, and with it the run that `mlflow run` made for a later launch.

    `mlflow run` ends its run itself, if it still lives by then.
    """
    close_study_run(store, run_id, status)
    if store.launch_run_id not in (None, run_id):
        store.client.set_terminated(store.launch_run_id, status)


def log_study_params(store: TrackingStore, run_id: str, params: Mapping[str, object]) -> None:
    """Log the study's settings, except those the run has.

    `mlflow run` logs its parameters as they were typed, and MLflow refuses a second spelling.
    """
    logged = store.client.get_run(run_id).data.params
    missing = [MlflowParam(key, str(value)) for key, value in params.items() if key not in logged]
    store.client.log_batch(run_id, params=missing)


def log_study_values(
    store: TrackingStore, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Log or renew single values of the parent run."""
    now = int(time.time() * 1000)
    store.client.log_batch(
        run_id,
        metrics=[MlflowMetric(name, value, now, 0) for name, value in metrics.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )


def log_study_dataset(store: TrackingStore, run_id: str, markets: Markets) -> None:
    """Log the bars that a study trains on as the run's data set, once."""
    inputs = store.client.get_run(run_id).inputs
    known = inputs.dataset_inputs if inputs else []
    if any(item.dataset.digest == markets.digest for item in known):
        return
    dataset = from_pandas(_as_one(markets), name=markets.name, digest=markets.digest).to_dict()
    names = [bars.name for bars in markets.each]
    profile = json.loads(dataset["profile"]) | {"markets": names}
    entity = Dataset(
        **{key: dataset[key] for key in ("name", "digest", "source_type", "schema")},
        profile=json.dumps(profile),
        source=markets.source,
    )
    context = InputTag("mlflow.data.context", "training")
    store.client.log_inputs(run_id, [DatasetInput(entity, [context])])


def _as_one(markets: Markets) -> pd.DataFrame:
    """The bars of all markets, with a column that says whose they are where they are several."""
    if len(markets.each) == 1:
        return markets.each[0].frame
    return pd.concat([bars.frame.assign(symbol=bars.name) for bars in markets.each])

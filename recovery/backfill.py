"""Write planned studies to MLflow, in the shape of live ones; repeated, it adds nothing.

A run is found again by its fingerprint, so whatever was written before a kill or an outage stays
and the same command completes it.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from filelock import FileLock, Timeout
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from mlproject.errors import UserError
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import (
    DEFAULT_EXPERIMENT,
    MLFLOW_DEFAULT_EXPERIMENT,
    Connection,
    TrackingStore,
    connect,
    first_line,
    open_experiment,
    without_password,
)
from mlproject.tracking.study_run import open_recovered_study_run
from recovery.parent_run import complete_parent_run, needs_completion
from recovery.plan import StudyPlan
from recovery.write_ahead import write_ahead

SERVER_THREADS = 16
"""Calls that wait for a tracking server at once. SQLite takes one writer at a time."""

LOCK_SECONDS = 3600
_SQLITE = "sqlite:///"


class TrackingLost(UserError):
    """The tracking store stopped answering while it was written to."""


class AnotherBackfill(UserError):
    """Another backfill into the same store does not come to an end."""


@dataclass(frozen=True, kw_only=True)
class StudyWritten:
    """What became of one study."""

    run_id: str
    written: int
    """Runs that had to be created or completed."""


@contextmanager
def open_store(experiment: str | None) -> Iterator[tuple[Connection, TrackingStore]]:
    """The experiment in MLflow's store, held for this process among the backfills of this machine.

    Held even before it is opened: several processes that create one SQLite store break it.

    Raises:
        AnotherBackfill: one that runs already takes longer than `LOCK_SECONDS`.
        TrackingUnreachable: the store does not answer.
        TrackingLost: it stopped answering.
        ExperimentConflict: the experiment is deleted.
    """
    # Over HTTP MLflow prints two lines for every run that ends.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    lock = FileLock(_lock_file(mlflow.get_tracking_uri()), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise AnotherBackfill(
            f"another backfill holds {lock.lock_file} since an hour: wait for it, or stop it"
        ) from error
    try:
        connection = _connect(experiment)
        with write_ahead(connection.uri):
            yield connection, open_experiment(connection)
    except (MlflowException, SQLAlchemyError) as error:
        raise TrackingLost(
            f"tracking store {without_password(mlflow.get_tracking_uri())} stopped answering "
            f"({first_line(error)}): what is written stays; run the same command again to go on"
        ) from error
    finally:
        lock.release()


def backfill_study(store: TrackingStore, plan: StudyPlan, *, threads: int) -> StudyWritten:
    """Write one study: its parent run, the runs of its sound trials, its tables and reports."""
    parent = open_recovered_study_run(store, plan.study.study_name, _first_start(plan))
    run_id = str(parent.info.run_id)
    written = bring_up_to_date(store, run_id, plan.runs, threads=threads)
    if written or needs_completion(parent, plan):
        complete_parent_run(store, parent, plan)
    return StudyWritten(run_id=run_id, written=written)


def _connect(experiment: str | None) -> Connection:
    """To `experiment`, else the one that `mlflow run` or MLFLOW_EXPERIMENT_NAME gives."""
    launch_run_id = os.environ.get("MLFLOW_RUN_ID")
    chosen = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if chosen is not None:
        # The run of this call may lie elsewhere; it is the record of the call, not of a study.
        os.environ.pop("MLFLOW_RUN_ID", None)
    connection = connect(chosen)
    if connection.experiment_name == MLFLOW_DEFAULT_EXPERIMENT and chosen is None:
        connection = connect(DEFAULT_EXPERIMENT)
    if launch_run_id is not None:
        connection.client.update_run(launch_run_id, name="backfill")
    return connection


def threads_for(connection: Connection) -> int:
    """How many calls may be under way at once."""
    return SERVER_THREADS if connection.uri.startswith("http") else 1


def _first_start(plan: StudyPlan) -> int:
    starts = [t.record.started_ms for t in plan.study.trials if t.record.started_ms is not None]
    return min(starts, default=1)


def _lock_file(uri: str) -> Path:
    path = Path(uri.removeprefix(_SQLITE)).absolute()
    if uri.startswith(_SQLITE) and path.parent.is_dir():
        return path.with_name(f"{path.name}.backfill.lock")
    name = hashlib.sha256(f"{uri} {os.getuid()}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mlproject-backfill-{name}.lock"

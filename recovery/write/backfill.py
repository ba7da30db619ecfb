"""Write planned studies to MLflow, in the shape of live ones; repeated, it adds nothing.

A run is found again by its fingerprint, so whatever was written before a kill or an outage stays
and the same command completes it.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from mlproject.errors import UserError
from mlproject.text.credentials import hide_credentials
from mlproject.text.sqlite_urls import sqlite_file
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.shifted_runs import remove_shifted, shifted_runs
from mlproject.tracking.store import (
    TrackingStore,
    connect,
    open_experiment,
    tracking_uri,
)
from mlproject.tracking.study_run import open_recovered_study_run
from recovery.write.parent_run import complete_parent_run, needs_completion
from recovery.write.plan import StudyPlan
from recovery.write.write_ahead import write_ahead

SERVER_THREADS = 16
"""Calls that wait for a tracking server at once. SQLite takes one writer at a time."""

LOCK_SECONDS = 3600
_ADVICE = "what is written stays, so start it and run the same command again to go on"


class AnotherBackfill(UserError):
    """Another backfill into the same store does not come to an end."""


class CannotLock(UserError):
    """The file that keeps other backfills out cannot be opened."""


@dataclass(frozen=True, kw_only=True)
class StudyWritten:
    """What became of one study."""

    run_id: str
    written: int
    """Runs that had to be created or completed."""
    shifted: int
    """Runs whose times were read in another zone."""


@contextmanager
def open_store(experiment: str | None) -> Iterator[TrackingStore]:
    """The experiment in MLflow's store, held for this process among the backfills of this machine.

    Held even before it is opened: several processes that create one SQLite store break it.

    Raises:
        AnotherBackfill: one that runs already takes longer than `LOCK_SECONDS`.
        CannotLock: the file that says so cannot be opened.
        TrackingUnreachable: the store does not answer, or stopped answering.
        ExperimentConflict: the experiment is deleted.
    """
    uri = tracking_uri()
    lock = FileLock(_lock_file(uri), timeout=LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout as error:
        raise AnotherBackfill(
            f"another backfill holds {lock.lock_file} since an hour: wait for it, or stop it"
        ) from error
    except OSError as error:
        raise CannotLock(
            f"{lock.lock_file} cannot be locked ({error.strerror}): if it is somebody else's, set "
            "TMPDIR to a folder of your own"
        ) from error
    try:
        store = connect(experiment, may_differ=True)
        with tracking_errors(uri, _ADVICE), write_ahead(store.uri):
            if store.launch_run_id is not None:
                store.client.update_run(store.launch_run_id, name="backfill")
            yield open_experiment(store)
    finally:
        # While it is held: who waits for it sees that its file is gone, and makes another.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def backfill_study(
    store: TrackingStore, plan: StudyPlan, *, threads: int, shift_times: bool = False
) -> StudyWritten:
    """Write one study: its parent run, the runs of its sound trials, its tables and reports.

    Runs that were written with the times of another zone are written anew if `shift_times`.
    """
    started_ms = _first_start(plan)
    parent = open_recovered_study_run(store, plan.study.study_name, started_ms)
    shifted = shifted_runs(store, parent, plan.runs)
    if shifted and shift_times:
        remove_shifted(store, parent, shifted, started_ms)
        parent = open_recovered_study_run(store, plan.study.study_name, started_ms)
    run_id = str(parent.info.run_id)
    written = bring_up_to_date(store, run_id, plan.runs, threads=threads)
    if written or needs_completion(parent, plan):
        complete_parent_run(store, parent, plan)
    return StudyWritten(run_id=run_id, written=written, shifted=len(shifted))


def threads_for(store: TrackingStore) -> int:
    """How many calls may be under way at once."""
    return SERVER_THREADS if store.uri.startswith("http") else 1


def _first_start(plan: StudyPlan) -> int:
    starts = [t.record.started_ms for t in plan.study.trials if t.record.started_ms is not None]
    return min(starts, default=1)


def _lock_file(uri: str) -> Path:
    file = sqlite_file(uri)
    if file is not None and file.parent.is_dir():
        return file.with_name(f"{file.name}.backfill.lock")
    # Of the shown URL: a hash of the whole one would let others try passwords on it.
    shown = hide_credentials(uri)
    name = hashlib.sha256(f"{shown} {os.getuid()}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"mlproject-backfill-{name}.lock"

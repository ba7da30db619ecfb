"""Trial runs are written to MLflow by a background thread: training never waits for the server.

The thread writes in the order in which things happened. Nothing here is the only copy of
anything: trials, their losses and their ends are in the study's storage and in its trial log before
they come here. So an outage needs no memory of its own: what MLflow misses is read from the storage
when it answers again (docs/decisions/0010-outages.md).
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT

from mlproject.text.credentials import first_line
from mlproject.text.phrases import counted
from mlproject.tracking.errors import is_refusal
from mlproject.tracking.known_runs import KnownRuns, known_runs
from mlproject.tracking.live_run import LiveRun
from mlproject.tracking.pending_writes import Outage, PendingWrites
from mlproject.tracking.recorder import set_identity, write_trial
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import log_study_values
from mlproject.tracking.trial_run import TrialRun
from mlproject.tracking.validation_files import ValidationFiles

MAX_HELD_RUNS = 100
"""More than this are not kept for a slow server: those that ended are read from the storage."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
ATTEMPTS = 3
"""A trial whose writing fails this often, though MLflow answers, does not hold up the others."""
INTERRUPTED_PATIENCE_SECONDS = 5.0
"""How long a launch that was interrupted waits for a server that says nothing."""

_logger = logging.getLogger(__name__)


def patience_seconds() -> float:
    """Return how long an ending launch waits for a silent server: as long as for an answer.

    A slow server may take any time: each of its answers begins the wait anew.
    """
    return float(MLFLOW_HTTP_REQUEST_TIMEOUT.get())


class _StorageSilent(Exception):
    """The study's storage, from which MLflow is brought up to date, cannot be read."""


class LiveTracking:
    """The writer of the trial runs of one launch, several trials at a time if need be.

    On an error it notes that MLflow is away, says so once, and asks again with growing pauses.
    When MLflow answers, it is brought up to date, the trials in progress included. A trial that
    MLflow refuses is named and left out; the others go on.
    """

    def __init__(
        self,
        store: TrackingStore,
        parent_run_id: str,
        ended_trials: Callable[[], Sequence[TrialRun]],
    ) -> None:
        """Begin with what earlier launches left to do.

        Args:
            store: an experiment in a store that answered.
            parent_run_id: the study's run.
            ended_trials: reads all trials that ended from the study's storage, in order; called
                from another thread.
        """
        self._store = replace(store, client=_noting_answers(store.client, self._note_answer))
        self._parent_run_id = parent_run_id
        self._ended_trials = ended_trials
        self._changed = threading.Condition()
        self._held: list[LiveRun] = []
        self._files = ValidationFiles(self._store)
        self._told: tuple[Mapping[str, float], Mapping[str, str]] | None = None
        """What the study's own run is to be given; what an outage swallows is soon told anew."""
        self._is_stale = True
        self._is_finishing = False
        self._is_stopped = False
        self._is_idle = False
        self._outage: Outage | None = None
        self._trials_waiting = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._next_attempt = 0.0
        self._failed_attempts = 0
        self._answered = self._written = time.monotonic()
        self._failures: Counter[int] = Counter()
        self._refused: dict[int, str] = {}
        threading.Thread(target=self._work, name="mlflow", daemon=True).start()

    def begin(self, trial: TrialRun) -> LiveRun:
        """Return the run of a trial that has begun: what it is told reaches MLflow in time."""
        run = LiveRun(trial, self._changed)
        with self._changed:
            if len(self._held) >= MAX_HELD_RUNS:
                self._drop_ended()
                self._is_stale = True
            self._held.append(run)
            self._changed.notify_all()
        return run

    def runs_in_progress(self) -> list[str]:
        """Return the ids of the runs of the trials at work, as far as MLflow has named them."""
        with self._changed:
            return [run.run_id for run in self._held if run.run_id and run.ended is None]

    def tell_study(self, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Renew values of the study's own run; only the last ones matter."""
        with self._changed:
            self._told = metrics, tags
            self._changed.notify_all()

    def finish(self, patience: float) -> PendingWrites:
        """Bring MLflow up to date and stop; no trial is in progress any more.

        Waits as long as MLflow answers, and `patience` seconds after its last answer; where it
        has been away for that long, it is asked once more.
        """
        started, was_interrupted = time.monotonic(), False
        with self._changed:
            self._drop_ended()
            self._held.clear()
            self._is_stale = self._is_finishing = True
            self._is_idle = False
            self._next_attempt, self._pause = started, FIRST_PAUSE_SECONDS
            failed_before = self._failed_attempts
            self._changed.notify_all()
            try:
                while not self._is_idle:
                    try:
                        now = time.monotonic()
                        was_asked = self._failed_attempts > failed_before
                        if now - self._answered >= patience and (
                            was_asked or now - started >= patience
                        ):
                            break
                        self._changed.wait(0.2)
                    except KeyboardInterrupt:  # what has ended is written all the same
                        was_interrupted = True
                        patience = min(patience, INTERRUPTED_PATIENCE_SECONDS)
            finally:
                self._is_stopped = True
                self._changed.notify_all()
            if self._is_idle:
                self._files.tell()
            return PendingWrites(
                outage=None if self._is_idle else self._outage or _silence(),
                trials_waiting=self._trials_waiting,
                refused=dict(sorted(self._refused.items())),
                was_interrupted=was_interrupted,
            )

    def _work(self) -> None:
        while self._wait_for_work():
            try:
                if self._is_stale:
                    self._catch_up()
                for run in self._due_runs():
                    self._write(run)
                self._write_told()
            except Exception as error:  # whatever it is, training goes on
                self._note_outage(error)

    def _wait_for_work(self) -> bool:
        """Wait until something can be written; False when there is no more to come."""
        with self._changed:
            while not self._is_stopped:
                seconds = self._seconds_until_due()
                if seconds == 0:
                    return True
                if seconds is None and self._is_finishing:
                    self._is_idle = True
                    self._changed.notify_all()
                    return False
                self._changed.wait(seconds)
            return False

    def _seconds_until_due(self) -> float | None:
        if self._outage is not None:
            return max(0.0, self._next_attempt - time.monotonic())
        if self._is_stale or self._told is not None:
            return 0.0
        due = [seconds for run in self._held if (seconds := run.seconds_until_due()) is not None]
        return min(due, default=None)

    def _due_runs(self) -> list[LiveRun]:
        with self._changed:
            return [run for run in self._held if run.seconds_until_due() == 0]

    def _write(self, run: LiveRun) -> None:
        has_ended = run.ended is not None
        if not run.is_refused:
            write = partial(run.write, self._store, self._parent_run_id)
            run.is_refused = not self._attempt(run.begun.trial_number, write)
            if run.ended is not None and run.run_id is not None and not run.is_refused:
                self._files.add(run.run_id, run.ended)
        if has_ended:
            with self._changed:
                if run in self._held:
                    self._held.remove(run)
                self._is_stale |= run.is_refused  # it is tried once more, as a whole

    def _write_told(self) -> None:
        with self._changed:
            told, self._told = self._told, None
        if told is None:
            return
        metrics, tags = told
        try:
            log_study_values(self._store, self._parent_run_id, metrics=metrics, tags=tags)
        except Exception as error:
            if not is_refusal(error):
                raise
            _logger.debug("MLflow refuses values of the study's run", exc_info=error)

    def _catch_up(self) -> None:
        """Make MLflow show all that ended, as the storage has it, and what is in progress."""
        with self._changed:
            self._drop_ended()
            self._is_stale = False  # whatever is dropped from now on makes it so again
        # In this order: what ended before is no longer held, or MLflow has it already.
        try:
            ended = self._ended_trials()
        except Exception as error:
            raise _StorageSilent(first_line(error)) from error
        with self._changed:
            held = list(self._held)
        known = known_runs(self._store, self._parent_run_id)
        for run in held:
            self._find_again(known, run)
        in_progress = {_identity(run.begun) for run in held}
        left = [trial for trial in ended if _identity(trial) not in in_progress]
        stale = known.stale(left)
        for each in stale:
            write = partial(write_trial, self._store, self._parent_run_id, each)
            self._attempt(each.trial.trial_number, write)
        for trial in left:
            if (kept := known.of(trial)) is not None:
                self._delete_duplicates(known, trial, str(kept.info.run_id))
        if stale:
            known = known_runs(self._store, self._parent_run_id)
        self._files.add_missing(known, left)
        numbers = {trial.identity: trial.trial_number for trial in left}
        for run_id, identity in known.without_identity(left):
            self._attempt(numbers[identity], partial(set_identity, self._store, run_id, identity))
        self._note_end_of_outage(len(stale))

    def _find_again(self, known: KnownRuns, run: LiveRun) -> None:
        """Find the run of a trial in progress, where the answer that named it was lost."""
        found = known.of(run.begun)
        if run.run_id is None and found is not None:
            run.run_id = str(found.info.run_id)
        if run.run_id is not None:
            self._delete_duplicates(known, run.begun, run.run_id)

    def _delete_duplicates(self, known: KnownRuns, trial: TrialRun, kept: str) -> None:
        for run_id in known.duplicates(trial, kept):
            delete = partial(self._store.client.delete_run, run_id)
            if self._attempt(trial.trial_number, delete):
                _logger.warning(
                    "trial %d stood in MLflow twice, because an answer was lost: run %s is deleted",
                    trial.trial_number,
                    run_id,
                )

    def _attempt(self, trial_number: int, write: Callable[[], object]) -> bool:
        """Write something of a trial; False: MLflow refuses this trial, but takes others."""
        try:
            write()
        except Exception as error:
            self._failures[trial_number] += 1
            if not is_refusal(error) and self._failures[trial_number] < ATTEMPTS:
                raise
            self._note_refusal(trial_number, first_line(error))
            return False
        self._failures.pop(trial_number, None)
        self._refused.pop(trial_number, None)
        self._written = time.monotonic()
        return True

    def _drop_ended(self) -> None:
        """Drop the runs that the storage holds as well; the lock is held."""
        if self._outage is not None:
            self._trials_waiting += sum(run.ended is not None for run in self._held)
        self._held = [run for run in self._held if run.ended is None]

    def _note_answer(self) -> None:
        with self._changed:
            self._answered = time.monotonic()

    def _note_refusal(self, trial_number: int, reason: str) -> None:
        if self._refused.get(trial_number) != reason:
            _logger.warning(
                "MLflow refuses trial %d (%s): it is kept in the study's storage and its trial "
                "log, and the others go on",
                trial_number,
                reason,
            )
        self._refused[trial_number] = reason

    def _note_outage(self, error: Exception) -> None:
        with self._changed:
            # At the end whoever waits for it tells: no training goes on, and this might come later.
            is_told_here = self._outage is None and not self._is_finishing
            if self._outage is None:
                self._outage = Outage(
                    since=datetime.now(),
                    reason=first_line(error),
                    of_storage=isinstance(error, _StorageSilent),
                )
                self._trials_waiting = 0
                self._pause = FIRST_PAUSE_SECONDS
            epochs = sum(run.epochs_waiting for run in self._held)
            self._drop_ended()
            self._is_stale = True
            self._failed_attempts += 1
            # A store that can be read but not written to gets nowhere: that is no progress.
            self._answered = self._written
            self._next_attempt = time.monotonic() + self._pause
            if not self._is_finishing:
                self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self._changed.notify_all()
        if is_told_here:
            _logger.warning(
                "%s: training goes on; %s and %s wait in the study's storage and its trial log "
                "until it does",
                self._outage,
                counted(self._trials_waiting, "trial"),
                counted(epochs, "epoch"),
            )
        _logger.debug("nothing is written to MLflow", exc_info=error)

    def _note_end_of_outage(self, written: int) -> None:
        with self._changed:
            outage, self._outage = self._outage, None
            self._trials_waiting = 0
            self._written = time.monotonic()
        if outage is not None:
            _logger.warning(
                "%s answers again, after it had not since %s: %s brought up to date",
                outage.who,
                f"{outage.since:%H:%M}",
                counted(written, "run"),
            )


def _silence() -> Outage:
    return Outage(since=datetime.now(), reason="it takes too long")


def _identity(trial: TrialRun) -> tuple[int, int]:
    return trial.trial_number, trial.started_ms


def _noting_answers(client: MlflowClient, note: Callable[[], None]) -> MlflowClient:
    """Wrap the client, so that `note` is called after each call that MLflow answered well."""

    class Noting:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            method = getattr(client, name)

            def call(*args: Any, **kwargs: Any) -> Any:
                answer = method(*args, **kwargs)
                note()
                return answer

            return call

    return cast(MlflowClient, Noting())

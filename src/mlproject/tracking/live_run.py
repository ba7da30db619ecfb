"""The run of one trial in progress: what is known of it, and how much of that MLflow has."""

import threading
import time

from mlproject.tracking import recorder
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics

FLUSH_SECONDS = 2.0
"""Epochs shorter than this share a call to MLflow."""


class LiveRun:
    """The run of a trial in progress. `add` and `close` only take note; `write` is the writer's."""

    def __init__(self, begun: TrialRun, changed: threading.Condition) -> None:
        self.begun = begun
        self.ended: TrialRun | None = None
        """The trial as it ended; None while it runs."""
        self.run_id: str | None = None
        """The run in MLflow; None before there is one, as far as is known."""
        self.is_refused = False
        """MLflow does not take its values: no more are sent before it has ended."""
        self._epochs: list[EpochMetrics] = []
        self._times_ms: list[int] = []
        self._epochs_written = 0
        self._params_written = False
        self._flushed = time.monotonic()
        self._changed = changed

    def add(self, losses: EpochMetrics) -> None:
        """Take the losses of an epoch."""
        with self._changed:
            self._epochs.append(losses)
            self._times_ms.append(int(time.time() * 1000))
            self._changed.notify_all()

    def close(self, trial: TrialRun) -> None:
        """Take the trial's end."""
        with self._changed:
            self.ended = trial
            self._changed.notify_all()

    @property
    def epochs_waiting(self) -> int:
        """The number of epochs that MLflow has not been given."""
        return len(self._epochs) - self._epochs_written

    def seconds_until_due(self) -> float | None:
        """Return the seconds until `write` has something to do; None: not before more is known."""
        if self.is_refused and self.ended is None:
            return None
        if not self._params_written or self.ended is not None:
            return 0.0
        if not self.epochs_waiting:
            return None
        return max(0.0, self._flushed + FLUSH_SECONDS - time.monotonic())

    def write(self, store: TrackingStore, parent_run_id: str) -> None:
        """Write what MLflow does not have; repeated after an error, it doubles nothing.

        A call for the start, one for the params, one for the epochs, two for the end.
        """
        ended, known = self.ended, len(self._epochs)
        if self.run_id is None:
            self.run_id = recorder.create_trial_run(store, parent_run_id, self.begun)
        if not self._params_written:
            recorder.log_params(store, self.run_id, self.begun)
            self._params_written = True
        if self._epochs_written < known:
            new = slice(self._epochs_written, known)
            recorder.log_epochs(store, self.run_id, self._epochs[new], self._times_ms[new])
            self._epochs_written = known
            self._flushed = time.monotonic()
        if ended is not None:
            recorder.close_trial_run(store, self.run_id, ended)

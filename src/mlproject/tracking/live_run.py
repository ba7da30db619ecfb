"""The run of a trial in progress: what a tracking outage must never stop."""

import logging
import time

from mlflow.exceptions import MlflowException

from mlproject.tracking import recorder
from mlproject.tracking.store import TrackingStore, first_line
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_losses import EpochLosses

FLUSH_SECONDS = 2.0
"""Epochs shorter than this share a call to MLflow."""

_logger = logging.getLogger(__name__)


class LiveRun:
    """Writes one trial to MLflow while it trains.

    When MLflow does not answer, a warning is logged once and the rest of this trial is left to
    `recorder.bring_up_to_date`, which finds everything in the study's storage.
    """

    def __init__(self, store: TrackingStore, parent_run_id: str, trial: TrialRun) -> None:
        self._store = store
        self._run_id: str | None = None
        self._pending: list[EpochLosses] = []
        self._flushed = time.monotonic()
        self._trial_number = trial.trial_number
        try:
            self._run_id = recorder.create_trial_run(store, parent_run_id, trial)
            recorder.log_params(store, self._run_id, trial)
        except MlflowException as error:
            self._give_up(error)

    def add(self, losses: EpochLosses) -> None:
        """Take the losses of an epoch; write them now or with a later epoch."""
        self._pending.append(losses)
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the epochs that wait."""
        if self._run_id is not None and self._pending:
            try:
                recorder.log_epochs(self._store, self._run_id, self._pending)
            except MlflowException as error:
                self._give_up(error)
        self._pending.clear()
        self._flushed = time.monotonic()

    def close(self, trial: TrialRun) -> None:
        """Write what waits and the trial's end."""
        self.flush()
        if self._run_id is not None:
            try:
                recorder.close_trial_run(self._store, self._run_id, trial)
            except MlflowException as error:
                self._give_up(error)

    def _give_up(self, error: MlflowException) -> None:
        self._run_id = None
        _logger.warning(
            "MLflow does not take the values of trial %d (%s): they are kept in the study's "
            "storage and written when the study ends or is launched again",
            self._trial_number,
            first_line(error),
        )

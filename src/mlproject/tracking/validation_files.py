"""The files of validation windows, one in the run of each trial that has them.

They are worth less than the runs: a store that takes runs and no files holds nothing up. What is
missing is given again by the next launch, from the study's storage.
"""

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

from mlproject.text.credentials import first_line
from mlproject.text.phrases import counted
from mlproject.tracking.known_runs import KnownRuns
from mlproject.tracking.names import VALIDATION_WINDOWS_FILE, VALIDATION_WINDOWS_TAG
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.trial_run import TrialRun

_logger = logging.getLogger(__name__)


class ValidationFiles:
    """The files of one launch."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store
        self._refusal: str | None = None
        """Why the last one was not taken; no more are tried until `add_missing`."""
        self._left = 0

    def add(self, run_id: str, trial: TrialRun) -> None:
        """Give the run of a trial its file, if the trial has one: two calls."""
        make = trial.validation_file
        if make is None:
            return
        if self._refusal is not None:
            self._left += 1
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / VALIDATION_WINDOWS_FILE
                file.write_bytes(make())
                self._store.client.log_artifact(run_id, str(file))
            self._store.client.set_tag(run_id, VALIDATION_WINDOWS_TAG, "true")
        except Exception as error:  # stores of files have errors of their own
            self._refusal = first_line(error)
            self._left = 1

    def add_missing(self, known: KnownRuns, trials: Iterable[TrialRun]) -> None:
        """Give their files to all runs that have none; each trial has ended."""
        self._refusal, self._left = None, 0
        for trial in trials:
            run = known.of(trial)
            if run is not None and VALIDATION_WINDOWS_TAG not in run.data.tags:
                self.add(str(run.info.run_id), trial)

    def tell(self) -> None:
        """Say what was not taken, if so."""
        if self._refusal is not None:
            _logger.warning(
                "MLflow does not take %s of %s (%s): the study's storage keeps what they hold, and "
                "the same command gives them again",
                VALIDATION_WINDOWS_FILE,
                counted(self._left, "trial"),
                self._refusal,
            )

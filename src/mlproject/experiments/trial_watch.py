"""Who watches a trial: its MLflow run, the progress bar and, at its end, the trial log."""

import optuna
from optuna.trial import FrozenTrial

from mlproject.experiments.describe import ended_trial
from mlproject.experiments.progress import Progress
from mlproject.experiments.search_space import SearchSpace
from mlproject.experiments.trial_log import end_line, write_line
from mlproject.tracking.live_run import LiveRun
from mlproject.tracking.live_tracking import LiveTracking
from mlproject.tracking.names import Param, Tag
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_losses import EpochLosses


class TrialWatch:
    """Follows the trials of one launch, one at a time."""

    def __init__(self, tracking: LiveTracking, space: SearchSpace, progress: Progress) -> None:
        self._tracking = tracking
        self._space = space
        self._progress = progress
        self._run: LiveRun | None = None
        self.failure: str | None = None
        """Why the trial that ended last failed; None when it did not."""

    def begin(self, trial: TrialRun) -> "TrialWatch":
        """A trial has its params and is about to train."""
        self._run = self._tracking.begin(trial)
        self._progress.begin_trial(trial.trial_number, int(trial.params[Param.EPOCHS]))
        return self

    def add(self, losses: EpochLosses) -> None:
        """An epoch of the trial has ended."""
        if self._run is not None:
            self._run.add(losses)
        self._progress.add(losses)

    def add_step(self, step: int, steps: int) -> None:
        """So many of an epoch's steps are done."""
        self._progress.add_step(step, steps)

    def end(self, _study: optuna.Study, trial: FrozenTrial) -> None:
        """Optuna has the trial's outcome (a callback of `optuna.Study.optimize`)."""
        ended = ended_trial(trial, self._space)
        self.failure = ended.tags.get(Tag.FAILURE_REASON)
        write_line(end_line(ended))
        if self._run is not None:
            self._run.close(ended)
        self._run = None

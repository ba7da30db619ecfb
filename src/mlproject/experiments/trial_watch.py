"""Who watches the trials of a launch, however many are at work.

The trial log, the MLflow runs of the trials, the terminal and the forecast: while trials run,
nothing else writes to these.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import optuna
from optuna.trial import FrozenTrial

from mlproject.experiments.describe import ended_trial
from mlproject.experiments.forecast import Forecast
from mlproject.experiments.progress import Progress
from mlproject.experiments.terminal import show_begin, show_end
from mlproject.experiments.trial_context import TrialContext
from mlproject.experiments.trial_log import write_line
from mlproject.search.trial_queue import finished_trials
from mlproject.tracking.names import Param
from mlproject.tracking.trial_log_lines import end_line, epoch_line, start_line
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics

if TYPE_CHECKING:  # importing MLflow takes seconds, and a worker needs nothing of it
    from mlproject.tracking.live_run import LiveRun
    from mlproject.tracking.live_tracking import LiveTracking


class TrialWatch:
    """Follows one trial from its first epoch to its last."""

    def __init__(
        self,
        trial: TrialRun,
        run: "LiveRun",
        progress: Progress,
        forecast: Forecast,
        at_step: Callable[[], None],
    ) -> None:
        self._number = trial.trial_number
        self._planned_epochs = trial.params[Param.EPOCHS]
        self._run = run
        self._progress = progress
        self._forecast = forecast
        self._at_step = at_step
        self._epochs_ended = 0

    def add(self, losses: EpochMetrics) -> None:
        """An epoch has ended."""
        write_line(epoch_line(self._number, losses))
        self._epochs_ended = losses.epoch
        self._run.add(losses)
        self._forecast.add_epoch(self._number, losses.epoch)
        self._progress.time_left = self._forecast.left
        self._progress.add(self._number, f"{losses.epoch}/{self._planned_epochs}")

    def add_step(self, step: int, steps: int) -> None:
        """So many of an epoch's steps are done. The user may want a pause, or no further one."""
        self._at_step()
        epoch = f"{self._epochs_ended + 1}/{self._planned_epochs}"
        self._forecast.add_step(self._number, step, steps)
        self._progress.time_left = self._forecast.left
        self._progress.add_step(self._number, epoch, step, steps)

    def end(self, ended: TrialRun) -> None:
        """Optuna has the trial's outcome."""
        write_line(end_line(ended))
        self._run.close(ended)
        self._progress.end_trial(self._number)


class StudyWatch:
    """Follows the trials of one launch.

    `at_step` is called after each of their steps that is heard of.
    """

    def __init__(
        self,
        tracking: "LiveTracking",
        context: TrialContext,
        progress: Progress,
        forecast: Forecast,
        at_step: Callable[[], None],
    ) -> None:
        self._tracking = tracking
        self._context = context
        self._progress = progress
        self._forecast = forecast
        self._at_step = at_step
        self._at_work: dict[int, TrialWatch] = {}

    def begin(self, trial: TrialRun) -> TrialWatch:
        """A trial has its params and is about to train."""
        write_line(start_line(trial))
        run = self._tracking.begin(trial)
        self._progress.begin_trial()
        self._forecast.begin(trial)
        show_begin(trial, done=self._forecast.done, time_left=self._time_left())
        watch = TrialWatch(trial, run, self._progress, self._forecast, self._at_step)
        self._at_work[trial.trial_number] = watch
        return watch

    def end(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Optuna has the trial's outcome (a callback of `optuna.Study.optimize`).

        What ended before it began to train is written at the end of the launch.
        """
        watch = self._at_work.pop(trial.number, None)
        ended = ended_trial(trial, self._context.space, self._context.data)
        if watch is not None:
            watch.end(ended)
        self._forecast.end(trial.number)
        self._progress.time_left = self._forecast.left
        self._progress.finish(finished_trials(study))
        show_end(
            ended,
            done=self._forecast.done,
            best=self._progress.best,
            time_left=self._time_left(),
        )

    def _time_left(self) -> str | None:
        left = self._forecast.left
        return str(left) if left is not None and left.trials_left else None

    @property
    def at_work(self) -> Mapping[int, TrialWatch]:
        """The trials that have begun and not ended, by number."""
        return self._at_work

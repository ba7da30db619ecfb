"""The forecast of a launch: how long its trials and its study will still take, told while they run.

What is known of the time is put together here: trials that ended, the pace of those in progress,
trials to come. The arithmetic is in `time_left`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial

from mlproject.experiments.cheaper import LONG_SECONDS, cheaper
from mlproject.experiments.pace import Pace
from mlproject.experiments.time_left import (
    Basis,
    EndedTrial,
    TimeLeft,
    TrialAhead,
    TrialAtWork,
    time_left,
)
from mlproject.models.arch_grid import Architecture
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.names import (
    ATTR_TAGS,
    ETA_AT_MOST_METRIC,
    ETA_METRIC,
    FINISHED_STATES,
    METRICS_ATTR,
    TIME_LEFT_TAG,
    Metric,
    Param,
    Tag,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.cost import EpochShape, cost_of_window

SECONDS_BETWEEN_RENEWALS = 2.0
"""Steps may be milliseconds apart."""
SECONDS_BETWEEN_UPDATES = 300.0
"""The parent run is told this often while nothing begins or ends."""
_LEAST_SECONDS_BETWEEN_UPDATES = 10.0
_NEWS = 1.25
"""An estimate that was off by more, before a step was timed here, is told again."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Where a launch trains, and how fast that is, as far as it is known beforehand."""

    device_type: str
    workers: int = 1
    """Trials at a time."""
    seconds_of_cost: float | None = None
    """By one layer of a network, for a window of an epoch; None where the first steps will tell
    soon enough."""


class Forecast:
    """Hears of the trials of one launch, and tells how long it will take."""

    def __init__(
        self,
        remaining: RemainingTrials,
        space: SearchSpace,
        shape: EpochShape,
        speed: Speed,
        *,
        say: Callable[[str], object],
        tell: Callable[[Mapping[str, float], Mapping[str, str]], object],
    ) -> None:
        """Begin with what the study's trials tell.

        Args:
            remaining: the trials of the study.
            space: what it searches.
            shape: of an epoch.
            speed: of the machine.
            say: is given the lines that a person should read.
            tell: is given metrics and tags of the study's parent run.
        """
        self._remaining = remaining
        self._space = space
        self._shape = shape
        self._speed = speed
        self._say = say
        self._tell = tell
        self._at_work: dict[int, tuple[float, Pace]] = {}
        """By number: the cost of an epoch, and how fast it goes."""
        self._begun_here: set[int] = set()
        self._known: dict[int, EndedTrial | None] = {}
        """By number, of all trials that ended; None is one that tells nothing."""
        self._ended: list[EndedTrial] = []
        self._ahead: list[TrialAhead] = []
        self._said: TimeLeft | None = None
        self._counts = 0, 0
        self._told = self._renewed = -SECONDS_BETWEEN_UPDATES
        costs = [self._cost(architecture) for architecture in space.grid.architectures]
        self._grid_cost = sum(costs) / len(costs)
        self.left: TimeLeft | None = None
        """None while nothing is known of the speed."""

    def open(self) -> None:
        """Say what is known before the first trial begins."""
        self._read_study()
        self._renew(None)

    def begin(self, trial: TrialRun) -> None:
        """A trial has its params and is about to train."""
        architecture = self._space.grid.architectures[int(trial.params[Param.ARCH_IDX])]
        pace = Pace(self._shape, int(trial.params[Param.EPOCHS]))
        self._at_work[trial.trial_number] = self._cost(architecture), pace
        self._begun_here.add(trial.trial_number)
        self._read_study()
        self._renew(trial.trial_number)

    def add_step(self, trial_number: int, step: int, steps: int) -> None:
        """So many of an epoch's steps are done."""
        self._at_work[trial_number][1].add_step(step, steps)
        is_sure = self.left is not None and self.left.basis is Basis.THIS_LAUNCH
        if not is_sure or time.monotonic() - self._renewed >= SECONDS_BETWEEN_RENEWALS:
            self._renew(trial_number)

    def add_epoch(self, trial_number: int, epoch: int) -> None:
        """An epoch has ended."""
        self._at_work[trial_number][1].add_epoch(epoch)
        self._renew(trial_number)

    def end(self, trial_number: int) -> None:
        """A trial has ended."""
        self._at_work.pop(trial_number, None)
        self._read_study()
        self._renew(None, _LEAST_SECONDS_BETWEEN_UPDATES)

    def close(self) -> None:
        """No trial is left."""
        none = {ETA_METRIC: 0.0, ETA_AT_MOST_METRIC: 0.0}
        self._tell(none, {TIME_LEFT_TAG: "none: all trials have finished"})

    @property
    def done(self) -> str:
        """How many trials have finished, such as ``7 of 50``."""
        finished, planned = self._counts
        return f"{finished} of {planned}"

    def _read_study(self) -> None:
        trials = self._remaining.study.get_trials(deepcopy=False)
        at_work = len(self._at_work)
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self._known:
                self._known[trial.number] = self._ended_trial(trial)
        self._ended = [known for known in self._known.values() if known is not None]
        not_begun = self._remaining.not_begun(trials, at_work)
        self._ahead = [self._trial_ahead(params) for params in not_begun]
        self._counts = self._remaining.count_finished(trials, at_work)

    def _renew(self, trial_number: int | None, pause: float = SECONDS_BETWEEN_UPDATES) -> None:
        self.left = time_left(
            self._ended,
            [
                TrialAtWork(
                    cost=cost, epochs_left=pace.epochs_left, epoch_seconds=pace.epoch_seconds
                )
                for cost, pace in self._at_work.values()
            ],
            self._ahead,
            grid_cost=self._grid_cost,
            workers=self._speed.workers,
            guessed_speed=self._speed.seconds_of_cost,
        )
        self._renewed = time.monotonic()
        left = self.left
        if left is None or not left.trials_left:
            return
        if self._is_news(left):
            self._announce(left, trial_number)
            pause = 0.0
        if time.monotonic() - self._told >= pause:
            self._told = time.monotonic()
            self._tell(
                {ETA_METRIC: left.seconds, ETA_AT_MOST_METRIC: left.at_most_seconds},
                {TIME_LEFT_TAG: f"{left}, as of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"},
            )

    def _is_news(self, left: TimeLeft) -> bool:
        if self._said is None:
            return True
        off = max(left.seconds, 1e-9) / max(self._said.seconds, 1e-9)
        return left.basis > self._said.basis and not 1 / _NEWS <= off <= _NEWS

    def _announce(self, left: TimeLeft, trial_number: int | None) -> None:
        seconds = None if trial_number is None else self._at_work[trial_number][1].seconds_left
        self._say(left.explained(seconds))
        was_long = self._said is not None and self._said.at_most_seconds >= LONG_SECONDS
        if left.at_most_seconds >= LONG_SECONDS and not was_long:
            self._say(
                cheaper(
                    left,
                    self._space,
                    self._shape,
                    device_type=self._speed.device_type,
                    n_finished=self._counts[0],
                )
            )
        self._said = left

    def _cost(self, architecture: Architecture) -> float:
        return cost_of_window(architecture, self._speed.device_type) * self._shape.windows

    def _ended_trial(self, trial: FrozenTrial) -> EndedTrial | None:
        metrics = trial.user_attrs.get(METRICS_ATTR, {})
        architecture = self._space.architecture(trial.params)
        settings = self._space.training_settings(trial.number, trial.params)
        epochs, seconds = (
            metrics.get(name) for name in (Metric.EPOCHS_RUN, Metric.DURATION_SECONDS)
        )
        if trial.state.name not in FINISHED_STATES or epochs is None or seconds is None:
            return None
        if architecture is None or settings is None:
            return None
        return EndedTrial(
            cost=self._cost(architecture),
            planned_epochs=settings.epochs,
            epochs_run=int(epochs),
            seconds=seconds,
            is_sampled=not any(tag in trial.user_attrs for tag in _ENQUEUED),
            is_of_this_launch=trial.number in self._begun_here,
        )

    def _trial_ahead(self, params: Mapping[str, Any]) -> TrialAhead:
        architecture = self._space.architecture(params)
        return TrialAhead(
            cost=None if architecture is None else self._cost(architecture),
            epochs=params.get(Param.EPOCHS, self._space.ranges[Param.EPOCHS].mean),
        )


_ENQUEUED = tuple(tag for tag in ATTR_TAGS if tag is not Tag.DIVERGED)

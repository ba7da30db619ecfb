"""A launch hears of its trials, and tells once how long it will take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import optuna
import pytest

from mlproject.experiments import forecast, pace
from mlproject.experiments.describe import running_trial
from mlproject.experiments.forecast import Forecast, Speed
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.names import METRICS_ATTR, Metric
from mlproject.training.cost import EpochShape, cost_of_window
from tests.conftest import MakeSpace

SHAPE = EpochShape(steps=14, training_windows=3338, validation_windows=713)
STEPS = 14


@dataclass
class Clock:
    """Says what time it is."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Launch:
    """A launch of a study whose storage is in memory."""

    study: optuna.Study
    space: SearchSpace
    clock: Clock
    speed: Speed = field(default_factory=lambda: Speed(device_type="cpu"))
    said: list[str] = field(default_factory=list)
    told: list[Mapping[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        remaining = RemainingTrials(self.study, self.space)
        remaining.n_to_start()
        self.forecast = Forecast(
            remaining,
            self.space,
            SHAPE,
            self.speed,
            say=self.said.append,
            tell=lambda metrics, _tags: self.told.append(metrics),
        )
        self.forecast.open()

    def begin(self) -> optuna.Trial:
        trial = self.study.ask()
        self.space.suggest(trial)
        self.forecast.begin(running_trial(trial, self.space))
        return trial

    def step(self, trial: optuna.Trial, last: int, seconds: float, *, first: int = 1) -> None:
        for step in range(first, last + 1):
            self.clock.now += seconds
            self.forecast.add_step(trial.number, step, STEPS)

    def end(self, trial: optuna.Trial, epochs: int, seconds: float) -> None:
        metrics = {Metric.EPOCHS_RUN.value: epochs, Metric.DURATION_SECONDS.value: seconds}
        trial.set_user_attr(METRICS_ATTR, metrics)
        self.study.tell(trial, 0.6)
        self.forecast.end(trial.number)


def _study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(forecast, "time", clock)
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_after_a_few_steps_it_says_how_long_trial_and_study_will_take(
    clock: Clock, make_space: MakeSpace
) -> None:
    launch = Launch(_study(), make_space("2M", n_trials=7, search_space=2), clock)
    trial = launch.begin()
    launch.step(trial, 1, 30.0)  # the first one is slow, whatever the network
    assert not launch.said
    launch.step(trial, 5, 0.5, first=2)
    (line,) = launch.said
    # An epoch: 14 steps' worth of windows, and validation at a third of what a window costs.
    epoch = 0.5 * SHAPE.windows / (SHAPE.training_windows / STEPS)
    left = launch.forecast.left
    assert left is not None
    costs = {a: cost_of_window(a, "cpu") for a in launch.space.grid.architectures}
    assert line.startswith("time left: this trial at most ")
    usual_epochs = 45 / math.log(50 / 5)  # from 5 to 50 on a logarithmic scale
    mine = launch.space.architecture(trial.params)
    assert mine is not None
    forced = [
        launch.space.architecture(waiting.system_attrs["fixed_params"])
        for waiting in launch.study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    ]
    others = sum(costs[a] for a in forced if a is not None) + sum(costs.values()) / len(costs)
    expected = epoch * (trial.params["epochs"] + usual_epochs * others / costs[mine])
    assert left.seconds == pytest.approx(expected, rel=0.02)
    assert launch.told[-1] == {
        "eta_seconds": pytest.approx(expected, rel=0.02),
        **{"eta_at_most_seconds": pytest.approx(expected, rel=0.02)},
    }


def test_steps_of_a_training_that_goes_on_after_a_kill_are_timed_alone(
    clock: Clock, make_space: MakeSpace
) -> None:
    launch = Launch(_study(), make_space("2M", n_trials=1, search_space=1), clock)
    trial = launch.begin()
    for epoch in range(1, 31):  # heard of again, all at once
        launch.forecast.add_epoch(trial.number, epoch)
    assert launch.forecast.left is None
    launch.step(trial, STEPS, 1.0)
    left = launch.forecast.left
    assert left is not None
    epoch_seconds = SHAPE.windows / SHAPE.training_windows * STEPS
    assert left.seconds == pytest.approx((trial.params["epochs"] - 31) * epoch_seconds, rel=0.1)


def test_a_pause_is_not_taken_for_a_slow_machine_and_a_slow_machine_not_for_pauses(
    clock: Clock, make_space: MakeSpace
) -> None:
    launch = Launch(_study(), make_space("2M", n_trials=1, search_space=1), clock)
    trial = launch.begin()
    launch.step(trial, 5, 1.0)
    before = launch.forecast.left
    clock.now += 3600
    launch.step(trial, 10, 1.0, first=6)
    after = launch.forecast.left
    assert before is not None
    assert after is not None
    assert after.seconds == pytest.approx(before.seconds, rel=0.02)
    launch.step(trial, STEPS, 100.0, first=11)
    slow = launch.forecast.left
    assert slow is not None
    assert slow.seconds > 10 * after.seconds


def test_a_launch_of_a_begun_study_says_it_before_its_first_trial(
    clock: Clock, make_space: MakeSpace
) -> None:
    study, space = _study(), make_space("2M", n_trials=9, search_space=1)
    first = Launch(study, space, clock)
    for _ in range(3):
        trial = first.begin()
        first.end(trial, trial.params["epochs"] // 2, 60.0)
    resumed = Launch(study, space, clock)
    (line,) = resumed.said
    assert "the study about " in line
    assert "the 3 trials so far ran " in line
    assert resumed.forecast.done == "3 of 9"
    again = resumed.begin()
    resumed.step(again, 5, 3600.0)
    assert len(resumed.said) == 1 + 1 + 1  # another machine, by far, and what would be cheaper
    assert resumed.said[-1].startswith("that is long; cheaper: ")


def test_a_study_of_weeks_is_told_at_once_what_would_be_cheaper(
    clock: Clock, make_space: MakeSpace
) -> None:
    space = make_space("2B", n_trials=50)
    speed = Speed(device_type="cpu", seconds_of_cost=1e-10)
    launch = Launch(_study(), space, clock, speed)
    time_left, advice = launch.said
    assert "the study at most " in time_left
    assert "days on this machine" in time_left
    for way in ("n_trials=10 (", "max_steps=2 in a new study (", "budget=200M (", "a GPU", "work"):
        assert way in advice
    launch.begin()
    assert len(launch.said) == 2

    on_gpu = Launch(
        _study(),
        make_space("2M", n_trials=8, max_steps=1),
        clock,
        Speed(device_type="cuda", seconds_of_cost=1e-5),
    )
    for way in ("n_trials", "budget", "a GPU"):
        assert way not in on_gpu.said[-1]


def test_the_parent_run_hears_it_now_and_then_and_that_nothing_is_left(
    clock: Clock, make_space: MakeSpace
) -> None:
    launch = Launch(_study(), make_space("2M", n_trials=1, search_space=1), clock)
    trial = launch.begin()
    launch.step(trial, STEPS, 2.5)
    assert len(launch.told) == 1
    launch.forecast.add_epoch(trial.number, 1)
    launch.step(trial, STEPS, forecast.SECONDS_BETWEEN_UPDATES / STEPS)
    assert len(launch.told) == 2
    assert launch.told[1]["eta_seconds"] > launch.told[0]["eta_seconds"]
    launch.forecast.close()
    assert launch.told[-1]["eta_seconds"] == 0

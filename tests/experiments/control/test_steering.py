"""How far a launch may go after what its user has asked for."""

import threading

import optuna
import pytest

from mlproject.experiments.control.commands import parse_command
from mlproject.experiments.control.steering import SteeredTrials, Steering, StoppedNow
from tests.conftest import MakeSpace


def _steered(make_space: MakeSpace, *, holds_steps: bool) -> tuple[Steering, SteeredTrials]:
    steering = Steering(8, holds_steps=holds_steps)
    study = optuna.create_study()
    return steering, SteeredTrials(study, make_space(n_trials=8), None, steering)


def _ask(steering: Steering, text: str) -> None:
    steering.obey(parse_command(text))


def test_during_a_pause_no_trial_begins_beside_those_at_work(make_space: MakeSpace) -> None:
    steering, trials = _steered(make_space, holds_steps=False)
    assert trials.n_to_start(at_work=2) == 6
    assert not trials.has_changed()
    _ask(steering, "pause")
    assert trials.has_changed() and not trials.has_changed()
    assert trials.n_to_start(at_work=2) == 0
    steering.at_step()  # trials of other processes are not held
    _ask(steering, "resume")
    assert trials.has_changed()
    assert trials.n_to_start(at_work=2) == 6
    assert not trials.is_cut_short


@pytest.mark.parametrize("holds_steps", [True, False])
def test_a_pause_with_nothing_at_work_is_waited_for(
    make_space: MakeSpace, holds_steps: bool
) -> None:
    steering, trials = _steered(make_space, holds_steps=holds_steps)
    _ask(steering, "pause")
    resumed = threading.Timer(0.05, _ask, (steering, "resume"))
    resumed.start()
    assert trials.n_to_start() == 8
    assert not resumed.is_alive()


def test_a_stop_ends_with_the_trials_at_work_and_may_be_taken_back(make_space: MakeSpace) -> None:
    steering, trials = _steered(make_space, holds_steps=True)
    _ask(steering, "stop")
    steering.at_step()
    assert trials.n_to_start() == 0
    assert trials.is_cut_short
    _ask(steering, "resume")
    assert trials.n_to_start() == 8


def test_a_stop_that_nothing_was_missing_at_cuts_nothing_short(make_space: MakeSpace) -> None:
    steering, trials = _steered(make_space, holds_steps=True)
    _ask(steering, "stop")
    assert trials.n_to_start(at_work=8) == 0
    assert not trials.is_cut_short


@pytest.mark.parametrize("holds_steps", [True, False])
def test_a_stop_now_interrupts_what_is_at_work_or_held(
    make_space: MakeSpace, holds_steps: bool
) -> None:
    steering, trials = _steered(make_space, holds_steps=holds_steps)
    _ask(steering, "pause")
    threading.Timer(0.05, _ask, (steering, "stop now")).start()
    with pytest.raises(StoppedNow):
        trials.n_to_start()
    with pytest.raises(KeyboardInterrupt):
        steering.at_step()


def test_the_number_of_trials_can_be_raised_and_lowered(make_space: MakeSpace) -> None:
    steering, trials = _steered(make_space, holds_steps=True)
    _ask(steering, "n_trials=20")
    assert trials.n_to_start(at_work=1) == 19
    _ask(steering, "n_trials=3")
    assert trials.n_to_start(at_work=1) == 2

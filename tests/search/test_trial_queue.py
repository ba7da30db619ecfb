"""What has to be enqueued: forced extremes, trials whose process died, whatever came before."""

from collections.abc import Iterator

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from mlproject.models.extremes import distinct_extremes
from mlproject.search.search_space import FIRST_ATTEMPT_ATTR, SearchSpace
from mlproject.search.trial_queue import (
    INTERRUPTED,
    MAX_ATTEMPTS,
    enqueue_missing_trials,
    trials_to_enqueue,
)
from mlproject.tracking.names import Tag
from tests.conftest import MakeSpace


@pytest.fixture
def space(make_space: MakeSpace) -> SearchSpace:
    return make_space("2M")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def _die(study: optuna.Study, space: SearchSpace) -> optuna.Trial:
    """A trial whose process died, as the next launch finds it."""
    trial = study.ask()
    space.suggest(trial)
    study.tell(trial, state=TrialState.FAIL)
    return trial


def _finish(study: optuna.Study, space: SearchSpace) -> optuna.Trial:
    trial = study.ask()
    space.suggest(trial)
    study.tell(trial, 0.5)
    return trial


def _waiting(study: optuna.Study) -> int:
    return len(study.get_trials(states=(TrialState.WAITING,)))


def test_a_new_study_owes_its_extremes_in_order(study: optuna.Study, space: SearchSpace) -> None:
    enqueue_missing_trials(study, space)
    labels = [trial.user_attrs[Tag.FORCED_EXTREME] for trial in study.trials]
    assert labels == list(distinct_extremes(space.grid))


def test_the_sampler_learns_the_architecture_of_a_forced_trial(
    study: optuna.Study, space: SearchSpace
) -> None:
    enqueue_missing_trials(study, space)
    trial = _finish(study, space)
    expected = distinct_extremes(space.grid)["min_d_model"]
    assert space.architecture(study.trials[trial.number].params) == expected


def test_asking_again_owes_nothing_more(study: optuna.Study, space: SearchSpace) -> None:
    for _ in range(3):
        enqueue_missing_trials(study, space)
        assert len(study.trials) == 6
    for _ in range(8):
        _finish(study, space)
    assert trials_to_enqueue(study.trials, space) == []


def test_a_killed_forced_trial_is_tried_again_with_all_its_params(
    study: optuna.Study, space: SearchSpace
) -> None:
    enqueue_missing_trials(study, space)
    dead = _die(study, space)
    enqueue_missing_trials(study, space)
    retry = study.trials[-1]
    assert retry.state is TrialState.WAITING
    assert retry.user_attrs == {
        Tag.RETRY_OF: dead.number,
        Tag.FORCED_EXTREME: "min_d_model",
        FIRST_ATTEMPT_ATTR: dead.number,
    }
    while _waiting(study):
        done = _finish(study, space)
    assert done.params == dead.params


def test_a_forced_trial_killed_before_it_chose_anything_is_tried_again(
    study: optuna.Study, space: SearchSpace
) -> None:
    enqueue_missing_trials(study, space)
    study.tell(study.ask(), state=TrialState.FAIL)
    enqueue_missing_trials(study, space)
    while _waiting(study):
        done = _finish(study, space)
    assert done.user_attrs[Tag.FORCED_EXTREME] == "min_d_model"
    assert space.architecture(done.params) == distinct_extremes(space.grid)["min_d_model"]


@pytest.mark.parametrize("reason", [None, INTERRUPTED])
def test_a_sampled_trial_that_died_is_tried_again_with_the_same_params(
    study: optuna.Study, space: SearchSpace, reason: str | None
) -> None:
    enqueue_missing_trials(study, space)
    for _ in range(6):
        _finish(study, space)
    trial = study.ask()
    space.suggest(trial)
    if reason is not None:
        trial.set_user_attr(Tag.FAILURE_REASON, reason)
    study.tell(trial, state=TrialState.FAIL)
    enqueue_missing_trials(study, space)
    assert _waiting(study) == 1
    retry = _finish(study, space)
    assert retry.params == trial.params
    assert retry.user_attrs[Tag.RETRY_OF] == trial.number
    assert trials_to_enqueue(study.trials, space) == []


@pytest.mark.parametrize("chosen", [0, 1])
def test_a_retry_killed_before_it_took_its_params_hands_them_on(
    study: optuna.Study, space: SearchSpace, chosen: int
) -> None:
    enqueue_missing_trials(study, space)
    for _ in range(6):
        _finish(study, space)
    sampled = _die(study, space)
    enqueue_missing_trials(study, space)
    retry = study.ask()
    if chosen:
        name, value = next(iter(study.trials[sampled.number].params.items()))
        distribution = study.trials[sampled.number].distributions[name]
        assert retry._suggest(name, distribution) == value
    study.tell(retry, state=TrialState.FAIL)
    enqueue_missing_trials(study, space)
    again = _finish(study, space)
    assert again.user_attrs[Tag.RETRY_OF] == retry.number
    assert study.trials[again.number].params == study.trials[sampled.number].params


def test_a_trial_that_raised_an_error_is_not_repeated(
    study: optuna.Study, space: SearchSpace
) -> None:
    enqueue_missing_trials(study, space)
    for _ in range(6):
        _finish(study, space)
    trial = study.ask()
    space.suggest(trial)
    trial.set_user_attr(Tag.FAILURE_REASON, "ValueError: it is what it is")
    study.tell(trial, state=TrialState.FAIL)
    assert trials_to_enqueue(study.trials, space) == []


def test_a_trial_that_always_dies_is_given_up(study: optuna.Study, space: SearchSpace) -> None:
    enqueue_missing_trials(study, space)
    for _ in range(6):
        _finish(study, space)
    deaths = 0
    _die(study, space)
    while trials_to_enqueue(study.trials, space):
        deaths += 1
        enqueue_missing_trials(study, space)
        _die(study, space)
    assert deaths == MAX_ATTEMPTS - 1


@pytest.mark.slow
@given(st.lists(st.sampled_from(["die", "finish", "prune", "relaunch"]), max_size=40))
def test_no_order_of_deaths_loses_or_doubles_an_extreme(
    make_space: MakeSpace, events: list[str]
) -> None:
    space = make_space("2M")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    dead: dict[str, int] = {}
    for event in _then_finish(events):
        enqueue_missing_trials(study, space)
        if event == "relaunch":
            continue
        trial = study.ask()
        space.suggest(trial)
        label = trial.user_attrs.get(Tag.FORCED_EXTREME)
        if event == "die" and label is not None:
            dead[label] = dead.get(label, 0) + 1
        states = {"die": TrialState.FAIL, "prune": TrialState.PRUNED}
        if event == "finish":
            study.tell(trial, 0.5)
        else:
            study.tell(trial, state=states[event])
    finished: dict[str, int] = {}
    for trial_ in study.trials:
        label = trial_.user_attrs.get(Tag.FORCED_EXTREME)
        if label is not None and trial_.state in (TrialState.COMPLETE, TrialState.PRUNED):
            finished[label] = finished.get(label, 0) + 1
    for label in distinct_extremes(space.grid):
        assert finished.get(label, 0) == (0 if dead.get(label, 0) == MAX_ATTEMPTS else 1)


def _then_finish(events: list[str]) -> Iterator[str]:
    yield from events
    yield from ["finish"] * 30

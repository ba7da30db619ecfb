"""What is left to do of a study that several trials are at work on."""

import optuna
import pytest
from optuna.trial import TrialState

from mlproject.search.remaining_trials import RemainingTrials, StudyFailing
from mlproject.search.trial_queue import QueuedTrial
from mlproject.tracking.names import METRICS_ATTR, Tag
from tests.conftest import MakeSpace


def test_no_more_are_begun_than_are_missing(make_space: MakeSpace) -> None:
    study = optuna.create_study()
    remaining = RemainingTrials(study, make_space(n_trials=8))
    assert remaining.n_to_start() == 8
    assert len(study.get_trials(states=(TrialState.WAITING,))) == 6  # the forced extremes
    assert remaining.n_to_start(at_work=3) == 5
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
        values = [0.5] if state is TrialState.COMPLETE else None
        trial = study.ask()
        trial.set_user_attr(METRICS_ATTR, {})
        study.tell(trial, values, state=state)
    assert remaining.n_to_start(at_work=3) == 3  # the failed one is tried again
    assert remaining.n_to_start(at_work=7) == 0


def test_trials_that_begin_together_have_places_of_their_own(make_space: MakeSpace) -> None:
    study = optuna.create_study()
    remaining = RemainingTrials(study, make_space())
    assert [remaining.next_seed_index() for _ in range(3)] == [0, 1, 2]
    for _ in range(3):
        study.ask()
    assert remaining.next_seed_index() == 3
    assert RemainingTrials(study, make_space()).next_seed_index() == 3


def test_of_a_supplement_what_waits_is_due_once(make_space: MakeSpace) -> None:
    space = make_space("100k", n_trials=1)
    supplement = [
        QueuedTrial(
            params=space.architecture_params(architecture),
            user_attrs={Tag.SUPPLEMENT.value: "n_heads"},
        )
        for architecture in space.grid.architectures[:3]
    ]
    study = optuna.create_study()
    remaining = RemainingTrials(study, space, supplement)
    assert remaining.n_to_start() == 3
    assert remaining.n_to_start(at_work=2, unbegun=2) == 1
    begun = study.ask()
    space.suggest(begun)
    assert remaining.n_to_start(at_work=2, unbegun=1) == 1
    study.tell(begun, state=TrialState.FAIL)  # without a word: its process died
    assert remaining.n_to_start() == 3


def test_what_has_not_begun_is_known_where_it_waits(make_space: MakeSpace) -> None:
    space = make_space(n_trials=8)
    study = optuna.create_study()
    remaining = RemainingTrials(study, space)
    remaining.n_to_start()
    done = study.ask()
    space.suggest(done)
    done.set_user_attr(METRICS_ATTR, {})  # as every trial of the program
    study.tell(done, 0.5)
    study.ask()  # at work
    trials = study.get_trials(deepcopy=False)
    assert remaining.count_finished(trials, 1) == (1, 8)
    known = [space.architecture(params) for params in remaining.not_begun(trials, 1)]
    assert [architecture is not None for architecture in known] == [True] * 4 + [False] * 2
    few = RemainingTrials(study, make_space(n_trials=3))
    assert len(few.not_begun(trials, 1)) == 1


def test_a_supplement_counts_its_own_trials(make_space: MakeSpace) -> None:
    space = make_space("100k", n_trials=1)
    supplement = [
        QueuedTrial(
            params=space.architecture_params(architecture),
            user_attrs={Tag.SUPPLEMENT.value: "n_heads"},
        )
        for architecture in space.grid.architectures[:3]
    ]
    study = optuna.create_study()
    study.tell(study.ask(), 0.5)  # of the search
    remaining = RemainingTrials(study, space, supplement)
    study.tell(study.ask(), 0.5)
    study.ask()  # at work
    trials = study.get_trials(deepcopy=False)
    assert remaining.count_finished(trials, 1) == (1, 3)
    assert len(remaining.not_begun(trials, 1)) == 1


def test_failures_in_a_row_stop_the_study_whoever_has_them(make_space: MakeSpace) -> None:
    remaining = RemainingTrials(optuna.create_study(), make_space())
    for failure in ("out of luck", None, *["out of luck"] * 4):
        remaining.count_outcome(failure)
    with pytest.raises(StudyFailing, match=r"5 trials in a row failed.* out of luck"):
        remaining.count_outcome("out of luck")


def test_a_trial_added_by_hand_is_none_of_those_that_have_finished(make_space: MakeSpace) -> None:
    study = optuna.create_study()
    remaining = RemainingTrials(study, make_space(n_trials=8))
    study.add_trial(optuna.trial.create_trial(value=0.1))
    assert remaining.count_finished(study.trials, at_work=0) == (0, 8)
    assert len(remaining.not_begun(study.trials, at_work=0)) == 8

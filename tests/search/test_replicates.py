"""Replicates: when a study begins them, of what, with which seed, and what is made of them."""

from collections.abc import Callable, Sequence

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from mlproject.search.configurations import MOST, configurations
from mlproject.search.recommendation import rank_architectures
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.replicates import is_replicate, replicates_of_plan
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.names import METRICS_ATTR, Tag
from mlproject.training.settings import TrainingSettings
from tests.conftest import MakeSpace

N_TRIALS = 23

Loss = Callable[[FrozenTrial, TrainingSettings], float]


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def _by_number(trial: FrozenTrial, _settings: TrainingSettings) -> float:
    return 0.57 + 0.001 * (trial.number % 7)


def _end(study: optuna.Study, trial: optuna.Trial, loss: float) -> None:
    trial.set_user_attr(METRICS_ATTR, {"best_val_loss": loss})  # as every trial of the program
    study.tell(trial, loss)


def _run(study: optuna.Study, space: SearchSpace, loss: Loss = _by_number) -> list[FrozenTrial]:
    """Run the study to its end; its trials."""
    remaining = RemainingTrials(study, space)
    while remaining.n_to_start():
        trial = study.ask()
        _, settings = space.suggest(trial)
        _end(study, trial, loss(study.trials[trial.number], settings))
    return study.trials


def test_some_of_the_free_trials_are_replicates_and_come_last(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space(n_trials=N_TRIALS)
    trials = _run(study, space)
    assert [is_replicate(trial) for trial in trials] == [False] * 18 + [True] * 5
    assert replicates_of_plan(space) == 5


def test_a_replicate_differs_from_its_first_trial_in_the_seed_alone(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    seeds: dict[int, int] = {}

    def loss(trial: FrozenTrial, settings: TrainingSettings) -> float:
        seeds[trial.number] = settings.seed
        return _by_number(trial, settings)

    trials = _run(study, make_space(n_trials=N_TRIALS), loss)
    assert len({seeds[trial.number] for trial in trials if not is_replicate(trial)}) == 1
    seen = set()
    for trial in filter(is_replicate, trials):
        first = trial.user_attrs[Tag.REPLICATE_OF]
        assert trial.params == trials[first].params
        assert not is_replicate(trials[first])
        assert seeds[trial.number] != seeds[first]
        seen.add((first, seeds[trial.number]))
    assert len(seen) == 5  # none was run twice


def test_what_has_died_is_tried_again_as_the_same_replicate(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space(n_trials=N_TRIALS)
    remaining = RemainingTrials(study, space)
    while remaining.n_to_start():
        trial = study.ask()
        space.suggest(trial)
        if Tag.REPLICATE_OF in trial.user_attrs:
            study.tell(trial, state=TrialState.FAIL)  # without a word: its process died
            break
        _end(study, trial, 0.57)
    died = study.trials[-1]
    again = _run(study, space)[died.number + 1]
    assert again.user_attrs[Tag.RETRY_OF] == died.number
    for tag in (Tag.REPLICATE_OF, Tag.REPLICATE):
        assert again.user_attrs[tag] == died.user_attrs[tag]
    assert sum(trial.state is TrialState.COMPLETE for trial in study.trials) == N_TRIALS


def test_replicates_that_begin_together_are_different_trials(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space(n_trials=N_TRIALS)
    remaining = RemainingTrials(study, space)
    for _ in range(18):
        remaining.n_to_start()
        trial = study.ask()
        space.suggest(trial)
        _end(study, trial, 0.57)
    assert remaining.n_to_start(places=4) == 5
    waiting = study.get_trials(states=(TrialState.WAITING,))
    assert len(waiting) == 4
    assert (
        len({(t.user_attrs[Tag.REPLICATE_OF], t.user_attrs[Tag.REPLICATE]) for t in waiting}) == 4
    )
    assert remaining.n_to_start(places=4) == 5
    assert len(study.get_trials(states=(TrialState.WAITING,))) == 4  # asked again, none is added


@pytest.mark.parametrize(("n_trials", "replicates"), [(1, 0), (6, 0), (9, 0), (10, 1)])
def test_a_study_with_hardly_more_trials_than_extremes_has_few_replicates(
    study: optuna.Study, make_space: MakeSpace, n_trials: int, replicates: int
) -> None:
    trials = _run(study, make_space(n_trials=n_trials))
    assert sum(map(is_replicate, trials)) == replicates


def test_a_study_that_is_given_more_trials_explores_on(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    _run(study, make_space(n_trials=N_TRIALS))
    trials = _run(study, make_space(n_trials=N_TRIALS + 10))
    assert [is_replicate(trial) for trial in trials[N_TRIALS:]] == [False] * 7 + [True] * 3


def test_where_nothing_is_complete_the_search_goes_on(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space(n_trials=N_TRIALS)
    remaining = RemainingTrials(study, space)
    while remaining.n_to_start():
        trial = study.ask()
        space.suggest(trial)
        trial.set_user_attr(METRICS_ATTR, {})
        study.tell(trial, state=TrialState.PRUNED)  # diverged, each of them
    assert len(study.trials) == N_TRIALS
    assert not any(map(is_replicate, study.trials))
    assert rank_architectures(study.trials, space) == []


def test_the_first_search_space_has_none(study: optuna.Study, make_space: MakeSpace) -> None:
    trials = _run(study, make_space(n_trials=N_TRIALS, search_space=1))
    assert not any(map(is_replicate, trials))


def _of_one_shape(space: SearchSpace, shape_index: int) -> Loss:
    """One shape is better than all others, by as much as seeds spread the losses."""

    def loss(trial: FrozenTrial, settings: TrainingSettings) -> float:
        luck = 0.002 * ((hash((trial.number * 2_654_435_761, settings.seed)) % 1000) / 1000 - 0.5)
        return 0.570 + luck - 0.004 * (trial.params["shape_index"] == shape_index)

    return loss


def test_the_recommended_architecture_is_first_and_the_probabilities_add_up(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space(n_trials=30)
    ranked = rank_architectures(_run(study, space, _of_one_shape(space, 3)), space)
    assert ranked[0].architecture.shape == space.grid.shapes[3]
    assert sum(each.probability_best for each in ranked) == pytest.approx(1)
    assert ranked[0].is_among_best
    assert all(each.low < each.val_loss < each.high for each in ranked)
    _assert_sorted([each.val_loss for each in ranked])
    assert sum(each.n_trials for each in ranked) == 30


def _assert_sorted(values: Sequence[float]) -> None:
    assert list(values) == sorted(values)


def test_of_very_many_configurations_those_nearest_to_the_best_are_estimated(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space()

    def loss(trial: FrozenTrial) -> float:
        return 0.57 + 0.1 * (space.ranges["dropout"].share(trial.params["dropout"]) - 0.5) ** 2

    for _ in range(MOST + 60):
        trial = study.ask()
        space.suggest(trial)
        _end(study, trial, loss(study.trials[trial.number]))
    tried = configurations(study.trials, space)
    assert len(tried) == MOST
    numbers = [each.first_trial for each in tried]
    assert numbers == sorted(numbers)
    assert study.best_trial.number in numbers
    left_out = [t.value for t in study.trials if t.number not in numbers]
    kept = [study.trials[number].value for number in numbers]
    assert np.median(left_out) > np.median(kept)
    assert max(kept) > np.quantile(left_out, 0.1)  # by place, not by loss

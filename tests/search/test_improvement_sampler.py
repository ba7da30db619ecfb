"""The sampler that asks the estimates: what it suggests, and that it finds what there is."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from mlproject.models.extremes import distinct_extremes
from mlproject.search.sampler import make_sampler
from mlproject.search.search_space import SearchSpace
from tests.conftest import MakeSpace

N_TRIALS = 30
MakeSampler = Callable[[SearchSpace, int], BaseSampler]


@pytest.fixture
def space(make_space: MakeSpace) -> SearchSpace:
    return make_space("2M")


def _loss(space: SearchSpace, params: dict[str, float], luck: float = 0.0) -> float:
    """A bowl in the rate, which the epochs move, and in the depth for its width."""
    rate, epochs = (space.ranges[name].share(params[name]) for name in ("learning_rate", "epochs"))
    architecture = space.architecture(params)
    assert architecture is not None
    depth = np.log2(architecture.n_layers / architecture.d_model)
    return float(0.57 + 0.03 * (rate + 0.5 * epochs - 0.6) ** 2 + 0.0005 * (depth + 4) ** 2 + luck)


def _run(space: SearchSpace, make: MakeSampler, seed: int) -> list[FrozenTrial]:
    study = optuna.create_study()
    rng = np.random.default_rng(seed)
    for number in range(N_TRIALS):
        study.sampler = make(space, 100 * seed + number)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, _loss(space, trial.params, rng.normal(0, 0.0004)))
    return study.trials


def test_it_comes_nearer_to_the_best_than_chance(space: SearchSpace) -> None:
    def by_chance(_space: SearchSpace, index: int) -> BaseSampler:
        return RandomSampler(seed=index)

    reached = {
        make: [min(_loss(space, t.params) for t in _run(space, make, seed)) for seed in range(4)]
        for make in (make_sampler, by_chance)
    }
    assert np.mean(reached[make_sampler]) < 0.57 + 0.5 * (np.mean(reached[by_chance]) - 0.57)


def test_all_that_it_suggests_lies_in_the_space(space: SearchSpace) -> None:
    for trial in _run(space, make_sampler, 5):
        for name, distribution in space.distributions.items():
            assert trial.distributions[name] == distribution
            value = trial.params[name]
            assert distribution._contains(distribution.to_internal_repr(value))


def test_what_is_given_stays_and_the_rest_is_chosen_for_it(space: SearchSpace) -> None:
    study = optuna.create_study()
    for number in range(14):
        study.sampler = make_sampler(space, number)
        extreme = list(distinct_extremes(space.grid).values())[number % 6]
        study.enqueue_trial(space.architecture_params(extreme))
        trial = study.ask()
        assert space.suggest(trial)[0] == extreme
        study.tell(trial, _loss(space, trial.params))
    rates = {trial.params["learning_rate"] for trial in study.trials}
    assert len(rates) == 14


def test_it_keeps_away_from_what_diverged_and_from_what_runs(space: SearchSpace) -> None:
    study = optuna.create_study()
    for number in range(14):
        study.sampler = make_sampler(space, number)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, _loss(space, trial.params))
    bad = study.best_trial.params
    for _ in range(3):
        study.enqueue_trial({**bad, "dropout": bad["dropout"] + 1e-6})
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, state=TrialState.PRUNED)
    study.sampler = make_sampler(space, 17)
    first, second = study.ask(), study.ask()  # both run
    for trial in (first, second):
        space.suggest(trial)
    assert first.params != second.params
    assert first.params != bad


def test_a_trial_all_of_whose_params_are_given_asks_nothing(space: SearchSpace) -> None:
    study = optuna.create_study(sampler=make_sampler(space, 0))
    trial = study.ask()
    space.suggest(trial)
    study.tell(trial, 0.5)
    study.enqueue_trial(trial.params)
    again = study.ask()
    assert again.relative_params == {}
    space.suggest(again)
    assert again.params == trial.params

"""The search space: what the sampler chooses is an architecture of the grid and back."""

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.models.budget import NAMED_BUDGETS
from mlproject.search.sampler import make_sampler
from mlproject.search.search_space import derived_seed
from mlproject.training.recipe import RECIPES
from tests.conftest import MakeSpace


@pytest.mark.parametrize("budget", NAMED_BUDGETS)
def test_every_architecture_can_be_chosen_and_found_again(
    make_space: MakeSpace, budget: str
) -> None:
    space = make_space(budget)
    places = set()
    for architecture in space.grid.architectures:
        params = space.architecture_params(architecture)
        assert space.architecture(params) == architecture
        places.add(tuple(params.values()))
    assert len(places) == len(space.grid.architectures)


@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_suggested_lies_in_the_ranges(make_space: MakeSpace, seed: int) -> None:
    space = make_space("20M")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    architecture, settings = space.suggest(study.ask())
    assert architecture in space.grid.architectures
    assert 3e-5 <= settings.learning_rate <= 1e-3
    assert 5 <= settings.epochs <= 50
    assert 1e-3 <= settings.weight_decay <= 0.3
    assert 0 <= settings.dropout <= 0.5
    assert settings.batch_size == 256
    assert settings.patience_epochs == max(3, math.ceil(settings.epochs / 4))
    assert settings.recipe == RECIPES[2]


@given(seed=st.integers(0, 2**32 - 1))
def test_the_first_search_space_is_what_it_was(make_space: MakeSpace, seed: int) -> None:
    space = make_space("20M", search_space=1)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    _, settings = space.suggest(study.ask())
    assert 1e-4 <= settings.learning_rate <= 1e-3
    assert 50 <= settings.epochs <= 100
    assert 1e-5 <= settings.weight_decay <= 1e-3
    assert settings.warmup_steps in (100, 200, 300, 500)
    assert 0.1 <= settings.dropout <= 0.3
    assert settings.patience_epochs == 10
    assert settings.recipe == RECIPES[1]


@pytest.mark.parametrize(
    ("max_epochs", "low", "high"), [(0, 5, 50), (1, 1, 1), (20, 5, 20), (500, 5, 50)]
)
def test_max_epochs_caps_what_may_be_chosen(
    make_space: MakeSpace, max_epochs: int, low: int, high: int
) -> None:
    space = make_space(max_epochs=max_epochs)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    chosen = [space.suggest(study.ask())[1].epochs for _ in range(900)]
    assert (min(chosen), max(chosen)) == (low, high)


def test_a_trial_that_has_not_chosen_yet_has_no_architecture(make_space: MakeSpace) -> None:
    space = make_space()
    assert space.architecture({"shape_index": 0}) is None
    assert space.training_settings(0, {"learning_rate": 1e-3}) is None


def test_suggestions_depend_on_the_history_not_on_the_launches(make_space: MakeSpace) -> None:
    space = make_space()

    def suggestions(launches: list[int]) -> list[dict[str, object]]:
        study = optuna.create_study()
        for trials in launches:
            for _ in range(trials):
                study.sampler = make_sampler(1, 0, len(study.trials))
                trial = study.ask()
                space.suggest(trial)
                study.tell(trial, trial.params["dropout"])
        return [trial.params for trial in study.trials]

    once = suggestions([14])
    assert suggestions([3, 9, 2]) == once
    assert len({str(params) for params in once}) == 14


def test_trials_of_one_replicate_number_share_their_seed_whatever_they_are(
    make_space: MakeSpace,
) -> None:
    space = make_space()
    assert space.seed_index(3, {}) == space.seed_index(4, {}) == 0
    assert space.seed_index(9, {"replicate_of": 3, "replicate": 2}) == 2
    old = make_space(search_space=1)
    assert [old.seed_index(3, {}), old.seed_index(8, {"first_attempt": 3})] == [3, 3]


def test_every_place_has_its_own_seed() -> None:
    seeds = {derived_seed(study, place) for study in range(10) for place in range(100)}
    assert len(seeds) == 1000

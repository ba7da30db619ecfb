"""What a study takes over from smaller ones, and when it tries that."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from mlproject.models.arch_grid import Architecture, architecture_grid
from mlproject.models.extremes import distinct_extremes
from mlproject.search.carried_over import WarmStart, keep_warm_start
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import enqueue_missing_trials
from mlproject.search.warm_start import MOST_CARRIED_OVER, SmallerStudy, carry_over, like
from mlproject.tracking.names import METRICS_ATTR, Tag
from tests.conftest import MakeSpace

SETTINGS = {"learning_rate": 1e-4, "epochs": 12, "weight_decay": 0.1, "dropout": 0.2}


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def _smaller(space: SearchSpace, *, best: float) -> SmallerStudy:
    """A finished study, the better the nearer log2 of depth to width is to `best`."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for architecture in space.grid.architectures[::3]:
        study.enqueue_trial({**space.architecture_params(architecture), **SETTINGS})
        trial = study.ask()
        space.suggest(trial)
        trial.set_user_attr(METRICS_ATTR, {})
        study.tell(trial, 0.57 + 0.001 * abs(_ratio(architecture) - best))
    return SmallerStudy(
        name=f"phase6a_{space.settings.budget.name}", space=space, trials=study.trials
    )


def _ratio(architecture: Architecture) -> float:
    return math.log2(architecture.n_layers / architecture.d_model)


@pytest.mark.parametrize("budget", ["20M", "200M", "2B"])
def test_an_architecture_keeps_its_proportions(budget: str) -> None:
    grid = architecture_grid(budget)
    for architecture in architecture_grid("2M").architectures:
        found = like(architecture, grid)
        here = (_ratio(architecture), architecture.d_ff / architecture.d_model)
        for other in grid.architectures:
            if other.d_ff / other.d_model == here[1] and other.n_heads == found.n_heads:
                assert abs(_ratio(found) - here[0]) <= abs(_ratio(other) - here[0]) + 2


def test_in_its_own_grid_it_is_itself() -> None:
    grid = architecture_grid("2M")
    assert [like(each, grid) for each in grid.architectures] == list(grid.architectures)


def test_the_nearest_study_in_size_comes_first(make_space: MakeSpace) -> None:
    large = make_space("20M")
    deep, shallow = _smaller(make_space("2M"), best=0), _smaller(make_space("200k"), best=-5)
    found = carry_over([shallow, deep], large)
    assert len(found) == MOST_CARRIED_OVER
    assert [each.source.split(" of ")[1] for each in found] == [deep.name, deep.name, shallow.name]
    first = large.architecture(found[0].params)
    assert first is not None
    assert _ratio(first) > -2  # as deep for its width as the grid has them
    for each in found:
        assert {name: each.params[name] for name in SETTINGS} == SETTINGS


def test_without_a_loss_nothing_is_carried_over(make_space: MakeSpace) -> None:
    empty = SmallerStudy(name="empty", space=make_space("200k"), trials=())
    assert carry_over([empty], make_space("2M")) == ()


def test_it_is_tried_after_the_extremes_which_have_its_settings(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space("20M", n_trials=12)
    carried_over = carry_over([_smaller(make_space("2M"), best=-3)], space)
    keep_warm_start(study, WarmStart(carried_over=carried_over))
    remaining = RemainingTrials(study, space)
    while remaining.n_to_start():
        trial = study.ask()
        space.suggest(trial)
        trial.set_user_attr(METRICS_ATTR, {})
        study.tell(trial, 0.57 + 1e-4 * trial.number)
    n_extremes = len(distinct_extremes(space.grid))
    extremes, then = study.trials[:n_extremes], study.trials[n_extremes:]
    for trial in extremes:
        assert Tag.FORCED_EXTREME in trial.user_attrs
        assert SETTINGS.items() <= trial.params.items()
    for each, trial in zip(carried_over, then, strict=False):
        assert trial.user_attrs[Tag.WARM_START] == each.source
        assert trial.params == each.params
    assert Tag.WARM_START not in then[len(carried_over)].user_attrs


def test_one_that_died_is_tried_again_as_what_it_was(
    study: optuna.Study, make_space: MakeSpace
) -> None:
    space = make_space("20M")
    carried_over = carry_over([_smaller(make_space("2M"), best=-3)], space)
    keep_warm_start(study, WarmStart(carried_over=carried_over))
    enqueue_missing_trials(study, space)
    count = len(study.trials)
    for _ in range(count):
        trial = study.ask()
        space.suggest(trial)
        is_forced = Tag.FORCED_EXTREME in trial.user_attrs
        study.tell(
            trial,
            0.57 if is_forced else None,
            TrialState.COMPLETE if is_forced else TrialState.FAIL,
        )
    enqueue_missing_trials(study, space)
    enqueue_missing_trials(study, space)
    dead = [t for t in study.trials[:count] if t.state is TrialState.FAIL]
    again = study.trials[count:]
    assert dead
    assert [t.user_attrs[Tag.RETRY_OF] for t in again] == [t.number for t in dead]
    assert [t.user_attrs[Tag.WARM_START] for t in again] == [
        t.user_attrs[Tag.WARM_START] for t in dead
    ]

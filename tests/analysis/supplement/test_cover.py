"""The architectures that close the gaps: all of them, with as few as can be."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlproject.analysis.audit.findings import Gap, UntestedExtreme, UntestedValue
from mlproject.analysis.supplement.cover import covering_architectures, gaps_closed_by
from mlproject.models.arch_grid import ArchitectureGrid, architecture_grid
from mlproject.models.budget import NAMED_BUDGETS, parse_budget
from mlproject.models.extremes import distinct_extremes

GRIDS = {budget: architecture_grid(parse_budget(budget), 25) for budget in NAMED_BUDGETS}


def _all_gaps(grid: ArchitectureGrid) -> list[Gap]:
    values: list[Gap] = [
        UntestedValue(dimension=dimension, value=value, since_version=None)
        for dimension in ("d_model", "n_layers", "n_heads", "d_ff")
        for value in grid.values(dimension)
    ]
    return values + [
        UntestedExtreme(label=label, architecture=a) for label, a in distinct_extremes(grid).items()
    ]


@st.composite
def some_gaps(draw: st.DrawFn) -> tuple[ArchitectureGrid, list[Gap], int]:
    grid = GRIDS[draw(st.sampled_from(NAMED_BUDGETS))]
    gaps = draw(st.lists(st.sampled_from(_all_gaps(grid)), unique=True, max_size=12))
    return grid, gaps, draw(st.integers(1, 4))


def _fewest(grid: ArchitectureGrid, gaps: Sequence[Gap]) -> int:
    """The optimum for one trial per value: breadth first over the sets of gaps that are closed."""
    closing = {
        sum(1 << gaps.index(gap) for gap in gaps_closed_by(a, gaps)) for a in grid.architectures
    }
    everything = (1 << len(gaps)) - 1
    reached, steps = {0}, 0
    while everything not in reached:
        reached |= {closed | more for closed in reached for more in closing}
        steps += 1
    return steps


@settings(deadline=None)
@given(some_gaps())
def test_every_gap_is_closed_by_different_architectures(
    case: tuple[ArchitectureGrid, list[Gap], int],
) -> None:
    grid, gaps, trials_per_value = case
    chosen = covering_architectures(grid, gaps, trials_per_value)
    assert len(set(chosen)) == len(chosen)
    for gap in gaps:
        having = [a for a in grid.architectures if gaps_closed_by(a, [gap])]
        closing = [a for a in chosen if a in having]
        wanted = 1 if isinstance(gap, UntestedExtreme) else trials_per_value
        assert len(closing) >= min(wanted, len(having))
    assert all(gaps_closed_by(a, gaps) for a in chosen)


@settings(deadline=None)
@given(some_gaps())
def test_there_are_as_few_as_can_be(case: tuple[ArchitectureGrid, list[Gap], int]) -> None:
    grid, gaps, _ = case
    assert len(covering_architectures(grid, gaps, 1)) == _fewest(grid, gaps)


def test_a_greedy_choice_would_take_one_more_here() -> None:
    wanted = {"d_model": (64, 128), "n_layers": (64,), "d_ff": (256,)}
    gaps: list[Gap] = [
        UntestedValue(dimension=dimension, value=value, since_version=None)
        for dimension, values in wanted.items()
        for value in values
    ]
    assert len(covering_architectures(GRIDS["2M"], gaps, 1)) == 2


def test_one_trial_closes_what_one_architecture_has() -> None:
    grid = GRIDS["20M"]
    gaps: list[Gap] = [
        UntestedValue(dimension="n_layers", value=3, since_version=None),
        UntestedValue(dimension="d_ff", value=3072, since_version=None),
    ]
    (chosen,) = covering_architectures(grid, gaps, 1)
    assert (chosen.n_layers, chosen.d_ff) == (3, 3072)


def test_several_trials_of_one_depth_differ_in_their_heads() -> None:
    gap = UntestedValue(dimension="n_layers", value=64, since_version=2)
    chosen = covering_architectures(GRIDS["2M"], [gap], 5)
    assert sorted(a.n_heads for a in chosen) == [2, 4, 8, 16, 32]


def test_where_the_grid_offers_fewer_all_are_taken() -> None:
    gap = UntestedValue(dimension="n_layers", value=64, since_version=2)
    assert len(covering_architectures(GRIDS["2M"], [gap], 9)) == 5


@pytest.mark.parametrize("trials_per_value", [1, 3])
def test_no_gap_needs_no_trial(trials_per_value: int) -> None:
    assert covering_architectures(GRIDS["2B"], [], trials_per_value) == []

"""The forced extremes: the same for everybody, at the ends of the grid, none twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.models.arch_grid import ArchitectureGrid, architecture_grid
from mlproject.models.budget import Budget, UnknownBudget, parse_budget
from mlproject.models.extremes import distinct_extremes, forced_extremes


def _grid(budget: str) -> ArchitectureGrid:
    return architecture_grid(parse_budget(budget), 25, 3)


@pytest.mark.parametrize(("budget", "number"), [("2M", 6), ("20M", 5), ("200M", 6), ("2B", 6)])
def test_named_budgets_have_their_number_of_different_extremes(budget: str, number: int) -> None:
    extremes = distinct_extremes(_grid(budget))
    assert len(extremes) == number
    assert len({a.arch_idx for a in extremes.values()}) == number


def test_at_20M_the_largest_width_and_the_least_depth_are_one_architecture() -> None:
    extremes = distinct_extremes(_grid("20M"))
    shared = extremes["max_d_model+min_n_layers"]
    assert (shared.d_model, shared.n_layers, shared.n_heads) == (1024, 2, 8)


def test_the_extremes_of_2M_are_written_down() -> None:
    # A change here changes what every new study tries first.
    rows = {
        label: (a.d_model, a.n_layers, a.n_heads, a.d_ff)
        for label, a in forced_extremes(_grid("2M")).items()
    }
    assert rows == {
        "min_d_model": (64, 32, 8, 256),
        "max_d_model": (384, 2, 8, 768),
        "min_n_layers": (256, 2, 8, 1024),
        "max_n_layers": (64, 64, 8, 128),
        "min_n_heads": (192, 8, 2, 384),
        "max_n_heads": (192, 8, 32, 384),
    }


@given(st.integers(min_value=100_000, max_value=3 * 10**9))
def test_extremes_are_the_ends_of_their_dimension(parameters: int) -> None:
    try:
        grid = architecture_grid(Budget(parameters), 25, 3)
    except UnknownBudget:
        return
    extremes = forced_extremes(grid)
    for dimension in ("d_model", "n_layers", "n_heads"):
        values = grid.values(dimension)
        assert getattr(extremes[f"min_{dimension}"], dimension) == values[0]
        assert getattr(extremes[f"max_{dimension}"], dimension) == values[-1]
    for label in ("min_d_model", "max_d_model", "min_n_layers", "max_n_layers"):
        assert extremes[label].n_heads == 8
    labels = "+".join(distinct_extremes(grid)).split("+")
    assert sorted(labels) == sorted(extremes)

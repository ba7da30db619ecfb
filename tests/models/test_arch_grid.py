"""The grid: sizes and rows that old runs refer to, and counts equal to the built network's."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlproject.models.arch_grid import (
    GRID_VERSIONS,
    Architecture,
    architecture_grid,
    get_architectures_for_budget,
)
from mlproject.models.budget import NAMED_BUDGETS, Budget, UnknownBudget, parse_budget
from mlproject.models.patchtst import PatchTST

PUBLISHED_SIZES = {1: (75, 50, 75, 15), 2: (80, 65, 115, 60), 3: (80, 75, 125, 75)}
PUBLISHED_ROWS = [
    # budget, version, features, arch_idx, d_model, n_layers, n_heads, d_ff, parameters
    ("2M", 3, 25, 60, 64, 48, 2, 256, 2_417_473),
    ("2M", 3, 25, 48, 64, 64, 16, 128, 2_160_449),
    ("20M", 3, 25, 73, 128, 180, 16, 256, 23_882_881),
    ("200M", 3, 25, 91, 384, 180, 4, 768, 213_206_401),
    ("2B", 3, 25, 1, 1024, 180, 4, 2048, 1_512_268_801),
    ("2M", 1, 20, 57, 64, 48, 8, 256, 2_414_273),
    # From old logs: trial lines whose arch_idx, shape, heads and count were printed together.
    ("2M", 1, 20, 1, 64, 32, 4, 256, 1_614_529),
    ("20M", 3, 25, 12, 128, 128, 8, 256, 16_993_921),
    ("20M", 3, 25, 29, 384, 16, 32, 768, 19_051_393),
]


@pytest.mark.parametrize("num_features", [20, 25])
@pytest.mark.parametrize("version", PUBLISHED_SIZES)
def test_grids_have_the_sizes_that_old_runs_used(version: int, num_features: int) -> None:
    sizes = tuple(
        len(get_architectures_for_budget(budget, num_features, version=version))
        for budget in NAMED_BUDGETS
    )
    assert sizes == PUBLISHED_SIZES[version]


@pytest.mark.parametrize(
    ("budget", "version", "features", "idx", "d_model", "layers", "heads", "d_ff", "count"),
    PUBLISHED_ROWS,
)
def test_published_rows_keep_their_place(
    budget: str,
    version: int,
    features: int,
    idx: int,
    d_model: int,
    layers: int,
    heads: int,
    d_ff: int,
    count: int,
) -> None:
    row = get_architectures_for_budget(budget, features, version=version)[idx]
    assert row == Architecture(
        arch_idx=idx,
        d_model=d_model,
        n_layers=layers,
        n_heads=heads,
        d_ff=d_ff,
        param_count=count,
    )


@pytest.mark.slow
@pytest.mark.parametrize("budget", NAMED_BUDGETS)
@pytest.mark.parametrize("num_features", [20, 25])
def test_the_count_is_that_of_the_built_network(budget: str, num_features: int) -> None:
    # Heads change no parameter, so each shape is built once; versions share most of them.
    built: dict[object, int] = {}
    for version in GRID_VERSIONS:
        for row in get_architectures_for_budget(budget, num_features, version=version):
            if row.shape not in built:
                with torch.device("meta"):
                    network = PatchTST(row, num_features=num_features)
                built[row.shape] = sum(p.numel() for p in network.parameters())
            assert row.param_count == built[row.shape], row


def test_heads_change_no_parameter() -> None:
    counts = set()
    for n_heads in (2, 32):
        row = Architecture(
            arch_idx=0, d_model=64, n_layers=2, n_heads=n_heads, d_ff=128, param_count=0
        )
        network = PatchTST(row, num_features=5)
        counts.add(sum(p.numel() for p in network.parameters()))
    assert len(counts) == 1


@given(
    st.integers(min_value=100_000, max_value=3 * 10**9),
    st.integers(min_value=1, max_value=200),
    st.sampled_from(sorted(GRID_VERSIONS)),
)
def test_every_grid_is_sorted_within_budget_and_found_again(
    parameters: int, num_features: int, version: int
) -> None:
    budget = Budget(parameters)
    try:
        grid = architecture_grid(budget, num_features, version)
    except UnknownBudget:
        return
    counts = [row.param_count for row in grid.architectures]
    assert counts == sorted(counts)
    for place, row in enumerate(grid.architectures):
        assert row.arch_idx == place
        assert budget.fits(row.param_count)
        assert row.d_model % row.n_heads == 0
        assert grid.find(row.shape, row.n_heads) is row
        assert grid.at(**grid.coordinates(row)) is row
        for name, coordinate in grid.coordinates(row).items():
            lowest, highest = grid.coordinate_ranges[name]
            assert lowest <= coordinate <= highest
    for shape_index, log2_n_heads in ((-1, 1), (len(grid.shapes), 1), (0, 0), (0, 6), (0, -1)):
        with pytest.raises(LookupError):
            grid.at(shape_index=shape_index, log2_n_heads=log2_n_heads)
    assert len(grid.architectures) == len(grid.shapes) * len(grid.values("n_heads"))


def test_a_budget_that_no_architecture_fits_is_refused() -> None:
    with pytest.raises(UnknownBudget, match="impossible budget 1k: no architecture"):
        get_architectures_for_budget("1k", 25)
    with pytest.raises(UnknownBudget, match="impossible budget 900B"):
        architecture_grid(parse_budget("900B"), 25)


@given(st.integers(1, 10**13), st.sampled_from([1, 2, 3]), st.sampled_from([20, 25]))
def test_an_impossible_budget_is_told_the_nearest_possible(
    parameters: int, version: int, n_features: int
) -> None:
    asked = Budget(parameters)
    try:
        architecture_grid(asked, n_features, version)
    except UnknownBudget as error:
        [names] = re.findall(r"the nearest possible: (.*?);", str(error))
    else:
        return
    for near in map(parse_budget, names.split(" and ")):
        assert architecture_grid(near, n_features, version).architectures
        # What is 3 % nearer to it is impossible too.
        nearer = Budget(round(near.parameters * (0.97 if near > asked else 1.07)))
        with pytest.raises(UnknownBudget):
            architecture_grid(nearer, n_features, version)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="no grid version 4"):
        architecture_grid(parse_budget("2M"), 25, 4)

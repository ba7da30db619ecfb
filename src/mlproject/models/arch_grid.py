"""The architecture grid: every (d_model, n_layers, n_heads, d_ff) that fits a budget.

A grid is immutable once published. `arch_idx`, the position of an architecture in its grid, means
something only together with the grid's version and the number of features, so a change of the
space is a new version here and never an edit of an old one.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil

from mlproject.models.budget import (
    NAMED_BUDGETS,
    TOLERANCE,
    Budget,
    UnknownBudget,
    parse_budget,
)

WINDOW_DAYS = 60
"""Days that the network sees, the day of decision included."""
PATCH_DAYS = 10
STRIDE_DAYS = 5
N_PATCHES = (WINDOW_DAYS - PATCH_DAYS) // STRIDE_DAYS + 1
N_POSITIONS = N_PATCHES + 10
"""Rows of the position table. The last ten are never read; they are part of every count."""


@dataclass(frozen=True)
class GridAxes:
    """The values of each dimension; one version of the grid is made of their product."""

    d_model: tuple[int, ...]
    n_layers: tuple[int, ...]
    n_heads: tuple[int, ...]
    d_ff_ratio: tuple[int, ...]


def _axes(*n_layers: int) -> GridAxes:
    return GridAxes(
        d_model=(64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048),
        n_layers=n_layers,
        n_heads=(2, 4, 8, 16, 32),
        d_ff_ratio=(2, 4),
    )


# fmt: off
GRID_VERSIONS: dict[int, GridAxes] = {
    1: _axes(2, 3, 4, 6, 8, 12, 16, 24, 32, 48),
    2: _axes(2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256),
    3: _axes(2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 180, 192, 256),
}
# fmt: on
CURRENT_GRID_VERSION = 3
CURRENT_NUM_FEATURES = 25
"""How many features the network sees of each day now; `mlproject.data.features` makes them."""

SHAPE_INDEX = "shape_index"
LOG2_N_HEADS = "log2_n_heads"
"""The two whole numbers that name an architecture of a grid for a sampler: its index in
`ArchitectureGrid.shapes`, and the logarithm of its heads. Like `arch_idx` they mean something in
their grid alone."""


@dataclass(frozen=True, order=True)
class Shape:
    """An architecture without its heads, which change no parameter count."""

    d_model: int
    n_layers: int
    d_ff: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One row of a grid."""

    arch_idx: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    param_count: int

    @property
    def shape(self) -> Shape:
        """The architecture without its heads."""
        return Shape(self.d_model, self.n_layers, self.d_ff)


@dataclass(frozen=True, kw_only=True)
class ArchitectureGrid:
    """All architectures of one version that fit a budget, in `arch_idx` order."""

    version: int
    budget: Budget
    num_features: int
    architectures: tuple[Architecture, ...]

    @functools.cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The distinct shapes, sorted by d_model, then n_layers, then d_ff."""
        return tuple(sorted({architecture.shape for architecture in self.architectures}))

    @functools.cached_property
    def _by_shape_and_heads(self) -> dict[tuple[Shape, int], Architecture]:
        return {(a.shape, a.n_heads): a for a in self.architectures}

    def find(self, shape: Shape, n_heads: int) -> Architecture:
        """The architecture of this shape and number of heads; KeyError when it is not here."""
        return self._by_shape_and_heads[shape, n_heads]

    @functools.cached_property
    def coordinate_ranges(self) -> Mapping[str, tuple[int, int]]:
        """Lowest and highest `SHAPE_INDEX` and `LOG2_N_HEADS`."""
        heads = [n_heads.bit_length() - 1 for n_heads in self.values("n_heads")]
        return {SHAPE_INDEX: (0, len(self.shapes) - 1), LOG2_N_HEADS: (min(heads), max(heads))}

    def coordinates(self, architecture: Architecture) -> dict[str, int]:
        """The `SHAPE_INDEX` and `LOG2_N_HEADS` of an architecture: the inverse of `at`."""
        return {
            SHAPE_INDEX: self.shapes.index(architecture.shape),
            LOG2_N_HEADS: architecture.n_heads.bit_length() - 1,
        }

    def at(self, *, shape_index: int, log2_n_heads: int) -> Architecture:
        """The architecture with these coordinates; LookupError when there is none."""
        if shape_index < 0 or log2_n_heads < 0:
            raise LookupError(shape_index, log2_n_heads)
        return self.find(self.shapes[shape_index], 2**log2_n_heads)

    def values(self, dimension: str) -> tuple[int, ...]:
        """The distinct values of ``d_model``, ``n_layers``, ``n_heads`` or ``d_ff``, sorted."""
        return tuple(sorted({getattr(a, dimension) for a in self.architectures}))


def count_parameters(*, d_model: int, n_layers: int, d_ff: int, num_features: int) -> int:
    """The exact number of learnable parameters of `mlproject.models.patchtst.PatchTST`."""
    projection = PATCH_DAYS * num_features * d_model + d_model
    positions = N_POSITIONS * d_model
    attention = 4 * d_model**2 + 4 * d_model
    norms = 4 * d_model
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    head = N_PATCHES * d_model + 1
    layers = n_layers * (attention + norms + feed_forward)
    return projection + positions + layers + 2 * d_model + head


@functools.lru_cache(maxsize=64)
def architecture_grid(
    budget: Budget | str,
    num_features: int = CURRENT_NUM_FEATURES,
    version: int = CURRENT_GRID_VERSION,
) -> ArchitectureGrid:
    """The grid of `budget`, such as ``2M``, for inputs of `num_features` features.

    >>> from mlproject import architecture_grid
    >>> grid = architecture_grid("2M")
    >>> len(grid.architectures)
    80
    >>> grid.architectures[60]  # doctest: +NORMALIZE_WHITESPACE
    Architecture(arch_idx=60, d_model=64, n_layers=48, n_heads=2, d_ff=256,
                 param_count=2417473)
    >>> grid.values("d_model")
    (64, 128, 192, 256, 384)

    The product runs in the order d_model, n_layers, n_heads, d_ff ratio and is then sorted by
    parameter count; the sort is stable, which is what fixes `arch_idx` among equal counts.

    Raises:
        UnknownBudget: the budget cannot be read, or no architecture of this version fits.
        ValueError: there is no such version, or no feature.
    """
    if version not in GRID_VERSIONS:
        raise ValueError(
            f"no grid version {version}: there are {', '.join(map(str, GRID_VERSIONS))}"
        )
    budget = parse_budget(budget) if isinstance(budget, str) else budget
    if num_features < 1:
        raise ValueError(f"num_features is {num_features}: at least 1 is needed")
    space = GRID_VERSIONS[version]
    rows = []
    for d_model, n_layers, n_heads, ratio in product(
        space.d_model, space.n_layers, space.n_heads, space.d_ff_ratio
    ):
        d_ff = ratio * d_model
        count = count_parameters(
            d_model=d_model, n_layers=n_layers, d_ff=d_ff, num_features=num_features
        )
        if d_model % n_heads == 0 and budget.fits(count):
            rows.append((count, d_model, n_layers, n_heads, d_ff))
    if not rows:
        nearest = [each.name for each in nearest_budgets(budget, num_features, version)]
        raise UnknownBudget(
            f"impossible budget {budget.name}: no architecture of grid version {version} has "
            f"{budget.parameters:,} parameters ± 25 %; the nearest possible: "
            f"{' and '.join(nearest)}; "
            f"the named budgets are {', '.join(NAMED_BUDGETS)}"
        )
    rows.sort(key=lambda row: row[0])
    architectures = tuple(
        Architecture(
            arch_idx=arch_idx,
            d_model=d_model,
            n_layers=n_layers,
            n_heads=n_heads,
            d_ff=d_ff,
            param_count=count,
        )
        for arch_idx, (count, d_model, n_layers, n_heads, d_ff) in enumerate(rows)
    )
    return ArchitectureGrid(
        version=version, budget=budget, num_features=num_features, architectures=architectures
    )


def nearest_budgets(budget: Budget, num_features: int, version: int) -> list[Budget]:
    """The nearest budgets below and above that some architecture of the grid fits.

    They have two digits where an architecture fits such a one.
    """
    space = GRID_VERSIONS[version]
    counts = {
        count_parameters(d_model=d, n_layers=n, d_ff=ratio * d, num_features=num_features)
        for d, n, ratio in product(space.d_model, space.n_layers, space.d_ff_ratio)
    }
    smaller = [count for count in counts if count < budget.parameters]
    larger = [count for count in counts if count > budget.parameters]
    below = [_rounded(int(max(smaller) / (1 - TOLERANCE)), max(smaller), -1)] if smaller else []
    above = [_rounded(ceil(min(larger) / (1 + TOLERANCE)), min(larger), 1)] if larger else []
    return below + above


def _rounded(parameters: int, count: int, direction: int) -> Budget:
    """The budget, or one of two digits next to it in the direction that `count` fits too."""
    unit = 10 ** (len(str(parameters)) - 2)
    rounded = Budget((parameters // unit + (direction > 0)) * unit)
    return rounded if rounded.fits(count) else Budget(parameters)


def get_architectures_for_budget(
    budget: Budget | str, num_features: int, *, version: int = CURRENT_GRID_VERSION
) -> tuple[Architecture, ...]:
    """The architectures that fit `budget`, so that the position of each is its `arch_idx`."""
    return architecture_grid(budget, num_features, version).architectures

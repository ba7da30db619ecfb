"""The numbers behind the map figure: which widths and depths were tried, and how each did."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.features import FEATURES
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import UnknownBudget, parse_budget

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShapeMap:
    """The best loss of each (width, depth) among the trials of one budget and target."""

    budget: str
    target: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    losses: Floats
    """Shape (depths, widths); NaN where no trial was."""
    allowed: npt.NDArray[np.bool_]
    """Whether today's grid has the shape at this budget."""
    counts: npt.NDArray[np.int64]
    """How many trials had the shape."""

    @property
    def best(self) -> tuple[int, int]:
        """Row and column of the lowest loss."""
        row, column = np.unravel_index(int(np.nanargmin(self.losses)), self.losses.shape)
        return int(row), int(column)


def shape_map(budget: str, target: str, trials: pd.DataFrame) -> ShapeMap:
    """The map of the trials of one budget and target."""
    tried = set(zip(trials["d_model"], trials["n_layers"], strict=True))
    allowed = _allowed(budget)
    widths = tuple(sorted({width for width, _ in tried | allowed}))
    depths = tuple(sorted({depth for _, depth in tried | allowed}))
    cells = trials.groupby(["d_model", "n_layers"])["loss"]
    lowest, counts = cells.min(), cells.count()
    shape = (len(depths), len(widths))
    losses, number = np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    for width, depth in tried:
        cell = depths.index(depth), widths.index(width)
        losses[cell], number[cell] = lowest[width, depth], counts[width, depth]
    return ShapeMap(
        budget=budget,
        target=target,
        widths=widths,
        depths=depths,
        losses=losses,
        allowed=np.array([[(w, d) in allowed for w in widths] for d in depths]),
        counts=number,
    )


def _allowed(budget: str) -> set[tuple[int, int]]:
    """Widths and depths of today's grid; none where only an older grid fits the budget."""
    try:
        grid = architecture_grid(parse_budget(budget), len(FEATURES))
    except UnknownBudget:
        return set()
    return {(shape.d_model, shape.n_layers) for shape in grid.shapes}

"""The numbers behind the map figure: which widths and depths were tried, and how each did."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.analysis.claims.cell_estimates import CellEstimates
from mlproject.analysis.report.shapes import shape_estimates
from mlproject.data.features import FEATURES
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import UnknownBudget, parse_budget
from mlproject.text.phrases import counted

_WORTH_TELLING = 0.005
"""A difference of losses that a reader may care about: half of a per cent."""
_MANY = 1000
"""Numbers of trials above this are as good as out of reach."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShapeMap:
    """What is to be expected of each (width, depth) among the trials of one budget and target."""

    budget: str
    target: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    losses: Floats
    """Shape (depths, widths): shrunken estimates; NaN where no trial was."""
    lowest: Floats
    """The lowest loss of each, which is luck for a good part; NaN as in `losses`."""
    allowed: npt.NDArray[np.bool_]
    """Whether today's grid has the shape at this budget."""
    counts: npt.NDArray[np.int64]
    """How many trials had the shape."""
    among_best: npt.NDArray[np.bool_]
    """Whether the shape cannot be told from the best."""
    estimates: CellEstimates

    @property
    def ringed(self) -> npt.NDArray[np.bool_]:
        """The shapes that are ringed: none where all would be, since no shape differs."""
        return self.among_best & self.estimates.differ


def shape_map(budget: str, target: str, trials: pd.DataFrame) -> ShapeMap:
    """The map of the trials of one budget and target."""
    estimates = shape_estimates(trials)
    allowed = _allowed(budget)
    widths = tuple(sorted({width for width, _ in {*estimates.cells, *allowed}}))
    depths = tuple(sorted({depth for _, depth in {*estimates.cells, *allowed}}))
    lowest = trials.groupby(["d_model", "n_layers"])["loss"].min()
    shape = (len(depths), len(widths))
    losses, luckiest = np.full(shape, np.nan), np.full(shape, np.nan)
    number, among_best = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    expected = estimates.of_cells.losses
    for index, (width, depth) in enumerate(estimates.cells):
        cell = depths.index(depth), widths.index(width)
        luckiest[cell] = lowest[width, depth]
        losses[cell] = luckiest[cell] if np.isnan(expected[index]) else expected[index]
        number[cell], among_best[cell] = estimates.counts[index], estimates.among_best[index]
    return ShapeMap(
        budget=budget,
        target=target,
        widths=widths,
        depths=depths,
        losses=losses,
        lowest=luckiest,
        allowed=np.array([[(w, d) in allowed for w in widths] for d in depths]),
        counts=number,
        among_best=among_best,
        estimates=estimates,
    )


def verdict(of: ShapeMap) -> str:
    """Whether the shapes differ, and what it would take to tell them apart."""
    start, estimates = f"{of.budget}, {of.target}:", of.estimates
    shapes = len(estimates.cells)
    seen = f"{counted(int(of.counts.sum()), 'trial')} in {counted(shapes, 'cell')}"
    if shapes == 1:
        return f"{start} one cell only, nothing to compare."
    if estimates.p_value is None:
        return f"{start} cannot be told: {seen}: too few to show what a cell scatters by."
    more = _more(of)
    if not estimates.differ:
        return (
            f"{start} no cell differs from the others (p = {estimates.p_value:.2f}, {seen}). {more}"
        )
    ringed = int(of.ringed.sum())
    return (
        f"{start} the cells differ (p = {estimates.p_value:.2g}, {seen}); {ringed} of {shapes} "
        f"cannot be told from the best and are ringed. {more}"
    )


def _more(of: ShapeMap) -> str:
    """How many more trials would tell, in one sentence."""
    difference = _WORTH_TELLING * float(np.nanmedian(of.losses))
    needed = of.estimates.trials_to_tell(difference)
    said = f"about {counted(needed, 'trial')}" if needed <= _MANY else f"more than {_MANY} trials"
    return (
        f"A trial scatters by {of.estimates.scatter:.4f} about its cell: to tell the best from one "
        f"worse by {_WORTH_TELLING:.1%} takes {said} of each, or as many seeds if it is these that "
        "it scatters by."
    )


def _allowed(budget: str) -> set[tuple[int, int]]:
    """Widths and depths of today's grid; none where only an older grid fits the budget."""
    try:
        grid = architecture_grid(parse_budget(budget), len(FEATURES))
    except UnknownBudget:
        return set()
    return {(shape.d_model, shape.n_layers) for shape in grid.shapes}

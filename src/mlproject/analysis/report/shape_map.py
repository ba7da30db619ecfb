"""The numbers behind the map figure: which widths and depths were tried, and how each did."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.analysis.claims.cell_estimates import CellEstimates
from mlproject.analysis.recommended import Recommendation
from mlproject.analysis.report.shapes import shape_estimates
from mlproject.data.features import FEATURES
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import UnknownBudget, parse_budget
from mlproject.text.phrases import counted
from mlproject.tracking.names import ARCHITECTURES_FILE

_WORTH_TELLING = 0.005
"""A difference of losses that a reader may care about: half of a per cent."""
_MANY = 1000
"""Numbers of trials above this are as good as out of reach."""

_SHAPE = ["d_model", "n_layers"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ShapeMap:
    """What is to be expected of each (width, depth) among the trials of one budget and target."""

    budget: str
    target: str
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    losses: Floats
    """Shape (depths, widths): what to expect of the best architecture of each by the study's
    estimates, else the shrunken means of its trials; NaN where no trial was."""
    lowest: Floats
    """The lowest loss of each, which is luck for a good part; NaN as in `losses`."""
    allowed: npt.NDArray[np.bool_]
    """Whether today's grid has the shape at this budget."""
    counts: npt.NDArray[np.int64]
    """How many trials had the shape."""
    among_best: npt.NDArray[np.bool_]
    """Whether the shape cannot be told from the best."""
    recommended: tuple[int, int] | None
    """The cell of the architecture that the study recommends."""
    no_estimate: str
    """Why the study's estimates are not used; empty where they are."""
    estimates: CellEstimates
    """Of the means of trials: what a trial scatters by, and whether cells differ at all."""

    @property
    def ringed(self) -> npt.NDArray[np.bool_]:
        """The shapes that are ringed: none where all would be, since none can be told apart."""
        if self.no_estimate:
            return self.among_best & self.estimates.differ
        return self.among_best & bool((self.counts[~self.among_best] > 0).any())


def shape_map(
    budget: str, target: str, trials: pd.DataFrame, recommended: Mapping[str, Recommendation]
) -> ShapeMap:
    """The map of the trials of one budget and target."""
    estimates = shape_estimates(trials)
    table, no_estimate = _estimated_architectures(trials, recommended)
    allowed = _allowed(budget)
    widths = tuple(sorted({width for width, _ in {*estimates.cells, *allowed}}))
    depths = tuple(sorted({depth for _, depth in {*estimates.cells, *allowed}}))
    lowest = trials.groupby(_SHAPE)["loss"].min()
    if table is None:
        expected = dict(zip(estimates.cells, estimates.of_cells.losses, strict=True))
        best = dict(zip(estimates.cells, estimates.among_best, strict=True))
    else:
        expected = table.groupby(_SHAPE)["val_loss"].min().to_dict()
        best = table.groupby(_SHAPE)["among_best"].any().to_dict()
    shape = (len(depths), len(widths))
    losses, luckiest = np.full(shape, np.nan), np.full(shape, np.nan)
    number, among_best = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    for (width, depth), count in zip(estimates.cells, estimates.counts, strict=True):
        cell = depths.index(depth), widths.index(width)
        luckiest[cell] = lowest[width, depth]
        loss = expected[width, depth]
        losses[cell] = luckiest[cell] if np.isnan(loss) else loss
        number[cell], among_best[cell] = count, best[width, depth]
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
        recommended=None if table is None else _cell_of_first(table, widths, depths),
        no_estimate=no_estimate,
        estimates=estimates,
    )


def _estimated_architectures(
    trials: pd.DataFrame, recommended: Mapping[str, Recommendation]
) -> tuple[pd.DataFrame | None, str]:
    """The estimates of the study that the trials are of; None, and why, where they will not do."""
    first, *others = trials["study"].unique()
    if others:
        return None, f"{1 + len(others)} studies share the map"
    found = recommended.get(first)
    if found is None:
        return None, "the study's run holds no estimate"
    if found.architectures is None:
        return None, f"the study's run gives no {ARCHITECTURES_FILE} that goes with its estimate"
    table = found.architectures
    tried = set(trials[_SHAPE].itertuples(index=False, name=None))
    unknown = tried - set(table[_SHAPE].itertuples(index=False, name=None))
    if unknown:
        return None, f"the study's estimate leaves out {counted(len(unknown), 'cell')}"
    return table, ""


def _cell_of_first(
    table: pd.DataFrame, widths: tuple[int, ...], depths: tuple[int, ...]
) -> tuple[int, int] | None:
    """The cell of the recommended architecture; None where it is none of these."""
    width, depth = int(table["d_model"].iloc[0]), int(table["n_layers"].iloc[0])
    if width not in widths or depth not in depths:
        return None
    return depths.index(depth), widths.index(width)


def verdict(of: ShapeMap) -> str:
    """Which cells hold the best, whether cells differ at all, and what it would take to tell."""
    start, estimates = f"{of.budget}, {of.target}:", of.estimates
    if len(estimates.cells) == 1:
        return f"{start} one cell only, nothing to compare."
    parts = [_by_trials(of)] if of.no_estimate else [_by_estimate(of), _test_in_words(of)]
    if estimates.p_value is not None:
        parts.append(_more(of))
    if of.no_estimate:
        parts.append(f"By the means of trials, since {of.no_estimate}.")
    return " ".join([start, *filter(None, parts)])


def _by_estimate(of: ShapeMap) -> str:
    shapes, ringed = len(of.estimates.cells), int(of.ringed.sum())
    which = f"{ringed} of {shapes}, ringed" if ringed else f"all {shapes}, so none is ringed"
    return (
        "cells with an architecture that by the study's estimate cannot be told from the "
        f"recommended one: {which} ({_seen(of)})."
    )


def _test_in_words(of: ShapeMap) -> str:
    p_value = of.estimates.p_value
    if p_value is None:
        return ""
    if of.estimates.differ:
        return f"The means of all trials differ from cell to cell (p = {p_value:.2g})."
    return f"By the means of all trials no cell differs from the others (p = {p_value:.2f})."


def _by_trials(of: ShapeMap) -> str:
    estimates = of.estimates
    if estimates.p_value is None:
        return f"cannot be told: {_seen(of)}: too few to show what a cell scatters by."
    if not estimates.differ:
        return f"no cell differs from the others (p = {estimates.p_value:.2f}, {_seen(of)})."
    return (
        f"the cells differ (p = {estimates.p_value:.2g}, {_seen(of)}); {int(of.ringed.sum())} of "
        f"{len(estimates.cells)} cannot be told from the best and are ringed."
    )


def _seen(of: ShapeMap) -> str:
    trials = counted(int(of.counts.sum()), "trial")
    return f"{trials} in {counted(len(of.estimates.cells), 'cell')}"


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

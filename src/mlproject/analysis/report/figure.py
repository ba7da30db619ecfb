"""The type of a figure of the report, and the colours that all figures share."""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as StillFigure

BUDGET_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Told apart by colour-blind readers too (Okabe and Ito, Color Universal Design)."""
BAND_COLOUR = "#777777"


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """One figure, drawn twice: interactive for the page, still for papers and docs."""

    name: str
    """The name of its file, without the ending."""
    title: str
    caption: str
    """What it shows, how to read it, and what it cannot show."""
    findings: tuple[str, ...] = ()
    """What it says, in words."""
    interactive: Any
    """A plotly figure."""
    still: StillFigure


def budget_colours(budgets: list[str]) -> dict[str, str]:
    """A colour for each budget, the same in every figure of a report."""
    return {
        budget: BUDGET_COLOURS[index % len(BUDGET_COLOURS)] for index, budget in enumerate(budgets)
    }


def by_size(names: list[str], sizes: list[int]) -> list[str]:
    """Distinct budgets, smallest first."""
    return [name for _, name in sorted(set(zip(sizes, names, strict=True)))]

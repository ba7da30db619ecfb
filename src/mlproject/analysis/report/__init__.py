"""The report says which architecture is best at each budget, and whether scale helps.

A picture is a module that gives a `ReportFigure`, and its name in `_FIGURES` or `write_report`; the
numbers behind it stand in a module of their own.
"""

from pathlib import Path

from mlproject.analysis.report.best import best_architectures
from mlproject.analysis.report.best_tables import best_csv, best_latex, best_markdown
from mlproject.analysis.report.effects_figure import effects_figure
from mlproject.analysis.report.page import report_page, summary
from mlproject.analysis.report.parallel_figure import parallel_figure
from mlproject.analysis.report.scaling_figure import scaling_figure
from mlproject.analysis.report.shape_map_figure import shape_map_figure
from mlproject.analysis.report.trials import ReportTrials
from mlproject.text.written_files import write_text, written

__all__ = ["summary", "write_report"]

_FIGURES = (effects_figure, parallel_figure)
"""Those that are of the trials alone."""
_DOTS_PER_INCH = 90


def write_report(trials: ReportTrials, folder: Path) -> None:
    """Write the page, the table of best architectures and the pictures into a folder.

    Raises:
        CannotWrite: the folder cannot be written to.
    """
    best = best_architectures(trials.frame, trials.recommended)
    figures = [
        scaling_figure(trials.frame, trials.stopped, best),
        shape_map_figure(trials.frame, trials.recommended),
        *(draw(trials.frame) for draw in _FIGURES),
    ]
    write_text(folder / "report.html", report_page(trials, best, figures))
    write_text(folder / "best_architectures.csv", best_csv(best))
    write_text(folder / "best_architectures.md", best_markdown(best))
    write_text(folder / "best_architectures.tex", best_latex(best))
    for figure in figures:
        path = folder / "figures" / f"{figure.name}.png"
        with written(path):
            figure.still.savefig(path, dpi=_DOTS_PER_INCH, bbox_inches="tight")

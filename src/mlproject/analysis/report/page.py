"""The page of the report: one HTML file that opens by itself, from a disk as from the MLflow UI."""

import html
from collections.abc import Sequence

import pandas as pd

from mlproject.analysis.report.best_tables import best_html
from mlproject.analysis.report.figure import ReportFigure
from mlproject.analysis.report.trials import ReportTrials

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1250px; margin: 2em auto; padding: 0 1em; }
p { max-width: 75ch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .5em; text-align: right; border-bottom: 1px solid #ddd; }
th, td { white-space: nowrap; font-size: 14px; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.wide { overflow-x: auto; }
.figure { min-width: 1000px; } /* the MLflow UI leaves half of it: scroll rather than squeeze */
"""


def report_page(trials: ReportTrials, best: pd.DataFrame, figures: Sequence[ReportFigure]) -> str:
    """The whole page; plotly's script is in it once."""
    title = f"Report on {html.escape(trials.experiment)}"
    parts = [
        f"<h1>{title}</h1><p>{html.escape(summary(trials))}</p>",
        "<h2>The best architectures</h2>",
        "<p>Of each study the architecture that it <i>recommends</i>, by the estimate that it made "
        "of all its trials: the expected validation loss over seeds with its interval, the "
        "probability that no other architecture tried is better, and how many of them cannot be "
        "told from it, which is the size of the set to choose from. Studies known from logs alone "
        "made no estimate. There the architecture of the lowest loss stands (<i>chosen by</i>), "
        "with what trials of its width, depth and learning rate may be expected to have, and how "
        "many pairs of width and depth cannot be told from the best. Last comes the "
        "<i>luckiest</i> trial, that of the lowest loss, whose seed was lucky. Whatever is chosen "
        "was chosen by these days: the <i>adjusted</i> loss, with the verdicts against the prior "
        "and the best simple baseline, is the study's own, of what is chosen by some of the days "
        "and tried on others. "
        "<i>Skill</i> is what a loss gains on the prior (always predicting the share of rises in "
        "the training years); – is not known.</p>",
        f'<div class="wide">{best_html(best)}</div>',
    ]
    for index, figure in enumerate(figures):
        drawn = figure.interactive.to_html(full_html=False, include_plotlyjs=index == 0)
        parts.append(
            f"<h2>{html.escape(figure.title)}</h2><p>{html.escape(figure.caption)}</p>"
            f"<ul>{''.join(f'<li>{html.escape(each)}</li>' for each in figure.findings)}</ul>"
            f'<div class="wide"><div class="figure">{drawn}</div></div>'
        )
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<style>{_STYLE}</style>{''.join(parts)}</html>"
    )


def summary(trials: ReportTrials) -> str:
    """What the report is about and what it leaves out, in one line."""
    frame = trials.frame
    line = f"{trials.experiment}: {frame['study'].nunique()} studies, {len(frame)} trials"
    left_out = {
        "diverged": trials.diverged,
        "pruned, failed or unfinished": trials.unended,
        "without a known loss or architecture": trials.incomplete,
        "runs of other shapes": trials.foreign_runs,
    }
    said = ", ".join(f"{count} {what}" for what, count in left_out.items() if count)
    return line + (f"; left out: {said}" if said else "")

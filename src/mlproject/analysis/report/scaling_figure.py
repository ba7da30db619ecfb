"""The scaling figure: loss against parameters. Does scale help?"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure as StillFigure
from plotly.subplots import make_subplots

from mlproject.analysis.report.figure import (
    BAND_COLOUR,
    ReportFigure,
    budget_colours,
    by_size,
)
from mlproject.analysis.report.power_law import BEST_SHARE, CONFIDENCE
from mlproject.analysis.report.scaling import TargetScaling, scaling_of_targets, verdict
from mlproject.models.budget import Budget

_X_TITLE = "parameters"
_Y_TITLE = "validation loss (nats)"
_BAND = f"{100 * CONFIDENCE:.0f} % of refits"
_LAW = "power law"
_PRIOR = "prior"
_TICK_DIGITS = ((20,), (10, 20, 50), tuple(range(10, 100, 2)))
"""From few to many; the first is where the named budgets lie."""
_MOST_TICKS = 6


def scaling_figure(frame: pd.DataFrame) -> ReportFigure:
    """Draw a panel per target: every trial, the best of each study, the fitted law, the prior."""
    panels = scaling_of_targets(frame)
    colours = budget_colours(by_size(list(frame["budget"]), list(frame["budget_parameters"])))
    return ReportFigure(
        name="loss_against_parameters",
        title="Does scale help?",
        caption=_caption(panels),
        findings=tuple(verdict(panel) for panel in panels),
        interactive=_interactive(panels, colours),
        still=_still(panels, colours),
    )


def _caption(panels: list[TargetScaling]) -> str:
    parts = [
        "Each dot is a trial, the ringed ones are the best of their study. "
        f"The line is a power law through the best {100 * BEST_SHARE:.0f} % of each study's "
        f"trials, the band holds {_BAND} to trials drawn anew: it tells how far the line hangs on "
        "which trials happened to be tried, not what other years would say. The dashed line is "
        "the prior, always predicting the share of rises in the training years; a loss above it is "
        "worse than knowing nothing.",
    ]
    hidden = sum(panel.out_of_sight for panel in panels)
    if hidden:
        parts.append(f"{hidden} trials with far higher losses are above the pictures.")
    return " ".join(parts)


def _still(panels: list[TargetScaling], colours: dict[str, str]) -> StillFigure:
    figure = StillFigure(figsize=(1.2 + 4.2 * len(panels), 4.6), layout="constrained")
    rows = figure.subplots(1, len(panels), squeeze=False)
    for axes, panel in zip(rows[0], panels, strict=True):
        _draw(axes, panel, colours)
    rows[0][0].set_ylabel(_Y_TITLE)
    handles: dict[str, Any] = {}
    for axes in rows[0]:
        handles |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    order = [_best_of(budget) for budget in colours] + [_LAW, _BAND, _PRIOR]
    labels = [label for label in order if label in handles]
    figure.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside lower center",
        ncols=len(labels),
        fontsize=9,
    )
    return figure


def _draw(axes: Axes, panel: TargetScaling, colours: dict[str, str]) -> None:
    if panel.law is not None:
        law = panel.law
        axes.fill_between(
            law.params, law.low, law.high, color=BAND_COLOUR, alpha=0.25, lw=0, label=_BAND
        )
        axes.plot(law.params, law.loss, color=BAND_COLOUR, lw=1.5, label=_LAW)
    for budget, colour in colours.items():
        shown = panel.trials[panel.trials["budget"] == budget]
        if len(shown):
            axes.scatter(shown["param_count"], shown["loss"], s=14, color=colour, alpha=0.35, lw=0)
            best = panel.best[panel.best["budget"] == budget]
            axes.scatter(
                *(best["param_count"], best["loss"]),
                s=60,
                color=colour,
                edgecolor="black",
                zorder=3,
                label=_best_of(budget),
            )
    for prior in panel.priors:
        axes.axhline(prior, color="black", ls="--", lw=1, label=_PRIOR)
    axes.set(xscale="log", xlabel=_X_TITLE, title=panel.target)
    ticks = _ticks(*axes.get_xlim())
    axes.set_xticks(ticks, [Budget(tick).name for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(panel.bottom, panel.top)
    axes.grid(alpha=0.25)


def _interactive(panels: list[TargetScaling], colours: dict[str, str]) -> Any:
    figure = make_subplots(
        rows=1, cols=len(panels), subplot_titles=[panel.target for panel in panels]
    )
    order = [_LAW, _BAND, *(name for b in colours for name in (_trials_of(b), _best_of(b)))]
    named: set[str] = set()
    for column, panel in enumerate(panels, start=1):
        for trace in _traces(panel, colours):
            trace.showlegend = trace.name not in named
            trace.legendrank = order.index(trace.name)
            named.add(trace.name)
            figure.add_trace(trace, row=1, col=column)
        for prior in panel.priors:
            figure.add_hline(
                y=prior,
                line={"dash": "dash", "width": 1},
                row=1,
                col=column,
                annotation_text=_PRIOR,
            )
        figure.update_yaxes(range=[panel.bottom, panel.top], row=1, col=column)
        counts = panel.trials["param_count"]
        ticks = _ticks(0.9 * counts.min(), 1.1 * counts.max())
        figure.update_xaxes(
            tickvals=ticks, ticktext=[Budget(tick).name for tick in ticks], row=1, col=column
        )
    figure.update_xaxes(type="log", title=_X_TITLE)
    figure.update_yaxes(title=_Y_TITLE, col=1)
    figure.update_layout(
        height=440,
        template="plotly_white",
        legend={"itemsizing": "constant"},
        margin={"t": 50},
    )
    return figure


def _traces(panel: TargetScaling, colours: dict[str, str]) -> list[Any]:
    traces = []
    if panel.law is not None:
        law = panel.law
        traces.append(
            go.Scatter(
                x=np.concatenate([law.params, law.params[::-1]]),
                y=np.concatenate([law.high, law.low[::-1]]),
                fill="toself",
                fillcolor="rgba(119,119,119,0.25)",
                line={"width": 0},
                hoverinfo="skip",
                name=_BAND,
                legendgroup="law",
            )
        )
        traces.append(
            go.Scatter(
                x=law.params,
                y=law.loss,
                mode="lines",
                line={"color": BAND_COLOUR},
                name=_LAW,
                legendgroup="law",
            )
        )
    for budget, colour in colours.items():
        for trials, name, marker in (
            (panel.trials, _trials_of(budget), {"size": 5, "opacity": 0.45}),
            (panel.best, _best_of(budget), {"size": 11, "line": {"width": 1.5, "color": "black"}}),
        ):
            shown = trials[trials["budget"] == budget]
            if len(shown):
                traces.append(
                    go.Scatter(
                        x=shown["param_count"],
                        y=shown["loss"],
                        mode="markers",
                        marker={**marker, "color": colour},
                        name=name,
                        legendgroup=name,
                        text=_hover_texts(shown),
                        hoverinfo="text",
                    )
                )
    return traces


def _ticks(low: float, high: float) -> list[int]:
    """The ticks between two numbers of parameters: as many round ones as there is room to name."""
    found: list[int] = []
    for digits in _TICK_DIGITS:
        all_ticks = (digit * 10**power for power in range(1, 11) for digit in digits)
        ticks = [tick for tick in all_ticks if low <= tick <= high]
        if len(ticks) <= _MOST_TICKS:
            found = ticks
    return found


def _trials_of(budget: str) -> str:
    return f"trials of {budget}"


def _best_of(budget: str) -> str:
    return f"best of {budget}"


def _hover_texts(trials: pd.DataFrame) -> list[str]:
    """The texts that the pointer shows, one per trial."""
    return [
        f"{row['study']}, trial {row['number']} ({row['origin']})<br>loss {row['loss']:.4f}<br>"
        f"{row['d_model']} wide, {row['n_layers']} layers, {row['n_heads']} heads, "
        f"d_ff {row['d_ff']}<br>{row['param_count']:,} parameters, "
        f"learning rate {row['learning_rate']:.1e}"
        for row in trials.to_dict("records")
    ]

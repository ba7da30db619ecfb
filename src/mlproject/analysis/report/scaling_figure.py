"""The scaling figure: loss against parameters. Does scale help?"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure as StillFigure
from plotly.subplots import make_subplots

from mlproject.analysis.claims.size_effect import BEST_SHARE, CONFIDENCE, SizeEffect
from mlproject.analysis.report.figure import (
    BAND_COLOUR,
    ReportFigure,
    budget_colours,
    by_size,
)
from mlproject.analysis.report.scaling import TargetScaling, scaling_of_targets, verdict
from mlproject.models.budget import Budget
from mlproject.search.estimates import INTERVAL

_X_TITLE = "parameters"
_Y_TITLE = "validation loss (nats)"
_BAND = f"{100 * CONFIDENCE:.0f} % interval of the slope"
_LAW = "power law"
_COMPARED = f"best {100 * BEST_SHARE:.0f} %, equal numbers"
_RECOMMENDED = f"recommended, with {INTERVAL:.0%} interval"
_STAR_COLOUR = "#F0E442"
_POINTS = 60
_PRIOR = "prior"
_TICK_DIGITS = ((20,), (10, 20, 50), tuple(range(10, 100, 2)))
"""From few to many; the first is where the named budgets lie."""
_MOST_TICKS = 6


def scaling_figure(frame: pd.DataFrame, stopped: pd.DataFrame, best: pd.DataFrame) -> ReportFigure:
    """Draw a panel per target: every trial, what each study recommends and its luckiest trial, the
    law, the prior."""
    panels = scaling_of_targets(frame, stopped, best)
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
        "Each dot is a trial, the ringed ones are the luckiest of their study: the more trials, "
        "the luckier. A star is what a study expects of the architecture that it recommends, with "
        f"the {INTERVAL:.0%} interval; a study that made no estimate has none. The line is a power "
        "law through the diamonds, the mean of the best "
        f"{100 * BEST_SHARE:.0f} % of equally many trials of each study, and the band is what the "
        f"{100 * CONFIDENCE:.0f} % interval of its slope allows. The interval counts the trials "
        "that were pruned or diverged, holds for the middle trial as for the best, and for what "
        "studies differ by beside their size; of a hundred targets at which size does nothing at "
        "most five are said to show something. What other years would say is not in it. The dashed "
        "line is the prior, always predicting the share of rises in the training years; a loss "
        "above it is worse than knowing nothing.",
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
    order = [_luckiest_of(budget) for budget in colours]
    order += [_RECOMMENDED, _COMPARED, _LAW, _BAND, _PRIOR]
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
    if isinstance(panel.effect, SizeEffect):
        effect, params = panel.effect, _grid(panel)
        loss, low, high = effect.line(params)
        axes.fill_between(params, low, high, color=BAND_COLOUR, alpha=0.25, lw=0, label=_BAND)
        axes.plot(params, loss, color=BAND_COLOUR, lw=1.5, label=_LAW)
        axes.plot(effect.params, effect.best, "D", color="black", ms=6, zorder=4, label=_COMPARED)
    for budget, colour in colours.items():
        shown = panel.trials[panel.trials["budget"] == budget]
        if len(shown):
            axes.scatter(shown["param_count"], shown["loss"], s=14, color=colour, alpha=0.35, lw=0)
            luckiest = panel.luckiest[panel.luckiest["budget"] == budget]
            axes.scatter(
                *(luckiest["param_count"], luckiest["loss"]),
                s=60,
                color=colour,
                edgecolor="black",
                zorder=3,
                label=_luckiest_of(budget),
            )
    if len(panel.recommended):
        axes.errorbar(
            panel.recommended["param_count"],
            panel.recommended["expected_loss"],
            yerr=_reach(panel.recommended),
            fmt="*",
            ms=10,
            mec="black",
            color=_STAR_COLOUR,
            ecolor="black",
            zorder=5,
            label=_RECOMMENDED,
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
    order = [
        _LAW,
        _BAND,
        _COMPARED,
        _RECOMMENDED,
        *(name for b in colours for name in (_trials_of(b), _luckiest_of(b))),
    ]
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
    if isinstance(panel.effect, SizeEffect):
        effect, params = panel.effect, _grid(panel)
        loss, low, high = effect.line(params)
        traces += [
            go.Scatter(
                x=np.concatenate([params, params[::-1]]),
                y=np.concatenate([high, low[::-1]]),
                fill="toself",
                fillcolor="rgba(119,119,119,0.25)",
                line={"width": 0},
                hoverinfo="skip",
                name=_BAND,
                legendgroup="law",
            ),
            go.Scatter(
                x=params,
                y=loss,
                mode="lines",
                line={"color": BAND_COLOUR},
                name=_LAW,
                legendgroup="law",
            ),
            go.Scatter(
                x=effect.params,
                y=effect.best,
                mode="markers",
                marker={"symbol": "diamond", "size": 9, "color": "black"},
                name=_COMPARED,
                legendgroup="law",
            ),
        ]
    for budget, colour in colours.items():
        for trials, name, marker in (
            (panel.trials, _trials_of(budget), {"size": 5, "opacity": 0.45}),
            (
                panel.luckiest,
                _luckiest_of(budget),
                {"size": 11, "line": {"width": 1.5, "color": "black"}},
            ),
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
    if len(panel.recommended):
        below, above = _reach(panel.recommended)
        traces.append(
            go.Scatter(
                x=panel.recommended["param_count"],
                y=panel.recommended["expected_loss"],
                error_y={"array": above, "arrayminus": below, "color": "black", "thickness": 1},
                mode="markers",
                marker={
                    **{"symbol": "star", "size": 13, "color": _STAR_COLOUR},
                    "line": {"width": 1, "color": "black"},
                },
                name=_RECOMMENDED,
                legendgroup=_RECOMMENDED,
                text=_recommended_texts(panel.recommended),
                hoverinfo="text",
            )
        )
    return traces


def _reach(recommended: pd.DataFrame) -> npt.NDArray[np.float64]:
    """How far the intervals reach below and above, (2, studies)."""
    ends = recommended[["expected_low", "expected_high"]].to_numpy(np.float64).T
    return np.abs(ends - recommended["expected_loss"].to_numpy(np.float64))


def _grid(panel: TargetScaling) -> npt.NDArray[np.float64]:
    """Numbers of parameters from the smallest to the largest that was tried."""
    counts = panel.trials["param_count"]
    return np.geomspace(counts.min(), counts.max(), _POINTS)


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


def _luckiest_of(budget: str) -> str:
    return f"luckiest of {budget}"


def _recommended_texts(recommended: pd.DataFrame) -> list[str]:
    """As `_hover_texts`, of what studies recommend."""
    return [
        f"{row['study']} recommends<br>{row['d_model']} wide, {row['n_layers']} layers, "
        f"{row['n_heads']} heads, d_ff {row['d_ff']}<br>expected loss {row['expected_loss']:.4f} "
        f"({row['expected_low']:.4f} to {row['expected_high']:.4f})"
        for row in recommended.to_dict("records")
    ]


def _hover_texts(trials: pd.DataFrame) -> list[str]:
    """The texts that the pointer shows, one per trial."""
    return [
        f"{row['study']}, trial {row['number']} ({row['origin']})<br>loss {row['loss']:.4f}<br>"
        f"{row['d_model']} wide, {row['n_layers']} layers, {row['n_heads']} heads, "
        f"d_ff {row['d_ff']}<br>{row['param_count']:,} parameters, "
        f"learning rate {row['learning_rate']:.1e}"
        for row in trials.to_dict("records")
    ]

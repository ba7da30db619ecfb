"""The effects figure: what heads and feed-forward width do to the loss, with how sure that is."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure as StillFigure
from plotly.subplots import make_subplots

from mlproject.analysis.report.effects import CONFIDENCE, FACTORS, Effect, architecture_effects
from mlproject.analysis.report.figure import ReportFigure, budget_colours, by_size

_TITLES = {"n_heads": "number of heads", "d_ff_ratio": "d_ff / d_model"}
_Y_TITLE = "effect on the loss (%)"
_NOTHING = "too few trials to tell"
_WORTH_TELLING = 0.5
"""An effect that a reader may care about, in per cent."""
_MANY = 100


def effects_figure(frame: pd.DataFrame) -> ReportFigure:
    """Draw the effects: a panel per factor, a colour per budget."""
    effects = architecture_effects(frame)
    colours = budget_colours(by_size(list(frame["budget"]), list(frame["budget_parameters"])))
    shown = {effect.budget for effect in effects}
    colours = {budget: colour for budget, colour in colours.items() if budget in shown}
    return ReportFigure(
        name="heads_and_feed_forward",
        title="Heads and feed-forward width",
        caption="Change of the loss against the average of all values, below zero is better; the "
        f"bars are {100 * CONFIDENCE:.0f} % intervals that all hold at once, so that of a hundred "
        "such figures without any effect five show one. Study, width, depth and learning rate are "
        "accounted for by a linear model, since trials differ in them too and the sampler prefers "
        "good regions. How many trials had a value stands above its bar or appears under the "
        "pointer.",
        findings=tuple(_findings(frame, effects)),
        interactive=_interactive(effects, colours),
        still=_still(effects, colours),
    )


def _findings(frame: pd.DataFrame, effects: list[Effect]) -> Iterator[str]:
    missing = [b for b in frame["budget"].unique() if not any(e.budget == b for e in effects)]
    if missing:
        yield f"Too few trials to tell: {', '.join(map(str, missing))}."
    sure = [e for e in effects if e.low > 0 or e.high < 0]
    if effects and not sure:
        needed = _times_the_trials(effects)
        said = f"about {needed:.0f}" if needed <= _MANY else f"more than {_MANY}"
        yield (
            "No interval leaves out zero: no effect that these trials could show. To show one of "
            f"{_WORTH_TELLING:g} % takes {said} times as many."
        )
    for e in sure:
        limits = f"({e.low:+.1f} to {e.high:+.1f})"
        yield f"{e.budget}, {_TITLES[e.factor]} {e.value:g}: {e.percent:+.1f} % {limits}."


def _times_the_trials(effects: list[Effect]) -> float:
    """By how many times the trials have to be more until a middling interval is short enough."""
    lengths = sorted((effect.high - effect.low) / 2 for effect in effects)
    # Half an interval is three standard errors, about; four show an effect four times of five.
    return max(2.0, math.ceil((4 / 3 * lengths[len(lengths) // 2] / _WORTH_TELLING) ** 2))


def _positions(effects: list[Effect], factor: str) -> dict[float, int]:
    """Where each value of the factor stands on its axis: one step apart, whatever the values."""
    values = sorted({effect.value for effect in effects if effect.factor == factor})
    return {value: index for index, value in enumerate(values)}


def _offset(index: int, count: int) -> float:
    """The shift of a budget's points, which puts budgets side by side instead of on each other."""
    return 0.0 if count == 1 else 0.35 * (index / (count - 1) - 0.5)


def _still(effects: list[Effect], colours: dict[str, str]) -> StillFigure:
    figure = StillFigure(figsize=(10.5, 4.4), layout="constrained")
    if not effects:
        figure.text(0.5, 0.5, _NOTHING, ha="center", color="0.4")
        return figure
    panels = figure.subplots(1, len(FACTORS), sharey=True, gridspec_kw={"width_ratios": [2, 1]})
    for axes, factor in zip(panels, FACTORS, strict=True):
        positions = _positions(effects, factor)
        for number, (budget, colour) in enumerate(colours.items()):
            shown = [e for e in effects if e.factor == factor and e.budget == budget]
            offset = _offset(number, len(colours))
            axes.errorbar(
                [positions[e.value] + offset for e in shown],
                [e.percent for e in shown],
                yerr=[[e.percent - e.low for e in shown], [e.high - e.percent for e in shown]],
                fmt="o",
                color=colour,
                capsize=3,
                label=budget,
            )
            for e in shown:
                axes.annotate(
                    str(e.trials),
                    (positions[e.value] + offset, e.high),
                    textcoords="offset points",
                    xytext=(0, 4),
                    ha="center",
                    fontsize=7,
                    color=colour,
                )
        axes.axhline(0, color="black", lw=0.8)
        axes.set_xticks(list(positions.values()), [f"{value:g}" for value in positions])
        axes.set_xlabel(_TITLES[factor])
        axes.margins(x=0.15, y=0.12)
        axes.grid(axis="y", alpha=0.25)
    panels[0].set_ylabel(_Y_TITLE)
    panels[-1].legend(title="budget", fontsize=9)
    return figure


def _interactive(effects: list[Effect], colours: dict[str, str]) -> Any:
    if not effects:
        empty = go.Figure(layout={"height": 120, "template": "plotly_white"})
        empty.update_xaxes(visible=False)
        empty.update_yaxes(visible=False)
        return empty.add_annotation(text=_NOTHING, showarrow=False)
    figure = make_subplots(rows=1, cols=len(FACTORS), shared_yaxes=True, column_widths=[0.66, 0.34])
    for column, factor in enumerate(FACTORS, start=1):
        positions = _positions(effects, factor)
        for number, (budget, colour) in enumerate(colours.items()):
            shown = [e for e in effects if e.factor == factor and e.budget == budget]
            offset = _offset(number, len(colours))
            figure.add_trace(
                go.Scatter(
                    x=[positions[e.value] + offset for e in shown],
                    y=[e.percent for e in shown],
                    error_y={
                        "type": "data",
                        "symmetric": False,
                        "array": [e.high - e.percent for e in shown],
                        "arrayminus": [e.percent - e.low for e in shown],
                    },
                    mode="markers",
                    marker={"color": colour, "size": 9},
                    name=budget,
                    legendgroup=budget,
                    showlegend=column == 1 and bool(shown),
                    text=[
                        f"{budget}, {_TITLES[factor]} {e.value:g}: {e.percent:+.2f} % "
                        f"({e.low:+.2f} to {e.high:+.2f}), {e.trials} trials"
                        for e in shown
                    ],
                    hoverinfo="text",
                ),
                row=1,
                col=column,
            )
        figure.update_xaxes(
            title=_TITLES[factor],
            tickvals=list(positions.values()),
            ticktext=[f"{value:g}" for value in positions],
            row=1,
            col=column,
        )
    figure.add_hline(y=0, line={"width": 1, "color": "black"})
    figure.update_yaxes(title=_Y_TITLE, col=1)
    figure.update_layout(
        height=400, template="plotly_white", legend={"title": "budget"}, margin={"t": 30}
    )
    return figure

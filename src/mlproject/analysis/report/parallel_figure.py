"""The parallel coordinates: every trial of every budget as a line through its settings."""

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure as StillFigure

from mlproject.analysis.report.figure import ReportFigure, by_size

_COLOURS = "viridis"
_SPREAD = 0.07
"""Trials of one category cross the axis within this much of it, or they would lie on each other."""
_MANY_TICKS = 12
_QUARTERS = (0.0, 25.0, 50.0, 75.0, 100.0)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """A vertical axis and where every trial crosses it."""

    label: str
    values: Floats
    """Of each trial."""
    ticks: tuple[float, ...]
    tick_texts: tuple[str, ...]


def parallel_figure(frame: pd.DataFrame) -> ReportFigure:
    """Draw all trials, from the budget on the left to the loss on the right."""
    # The best are drawn last, on top of the others.
    ranks = frame.groupby("target")["loss"].rank(pct=True).sort_values(ascending=False)
    frame, rank = frame.loc[ranks.index], ranks.to_numpy(np.float64)
    axes = _axes(frame, rank)
    return ReportFigure(
        name="parallel_coordinates",
        title="All trials",
        caption="One line per trial, coloured by its rank among the trials of its target (dark is "
        "best), because losses of different targets do not compare. In the interactive picture "
        "drag along an axis to keep some trials only, and drag an axis by its name to move it.",
        interactive=_interactive(axes, rank),
        still=_still(axes, rank),
    )


def _axes(frame: pd.DataFrame, rank: Floats) -> list[_Axis]:
    budgets = by_size(list(frame["budget"]), list(frame["budget_parameters"]))
    targets = list(frame.sort_index()["target"].unique())
    return [
        _categories("budget", frame["budget"], budgets),
        _categories("target", frame["target"], targets),
        *(
            _categories(name, frame[name], sorted(frame[name].unique()))
            for name in ("d_model", "n_layers", "n_heads", "d_ff_ratio")
        ),
        *(
            _decades(frame[name], name)
            for name in ("learning_rate", "weight_decay")
            if frame[name].notna().all()
        ),
        _Axis(
            label="loss (rank in %)",
            values=100 * rank,
            ticks=_QUARTERS,
            tick_texts=tuple(f"{tick:.0f}" for tick in _QUARTERS),
        ),
    ]


def _categories(label: str, column: "pd.Series[Any]", values: list[Any]) -> _Axis:
    """An axis on which the values stand one step apart."""
    positions = {value: index for index, value in enumerate(values)}
    step = -(-len(values) // _MANY_TICKS)
    noise = np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(column))
    return _Axis(
        label=label.replace("d_ff_ratio", "d_ff / d_model"),
        values=column.map(positions).to_numpy(np.float64) + noise,
        ticks=tuple(float(number) for number in range(0, len(values), step)),
        tick_texts=tuple(
            f"{value:g}" if isinstance(value, float) else str(value) for value in values[::step]
        ),
    )


def _decades(column: "pd.Series[Any]", label: str) -> _Axis:
    """An axis of logarithms."""
    logs = np.log10(column.to_numpy(np.float64))
    ticks = np.linspace(logs.min(), logs.max(), 4)
    return _Axis(
        label=label,
        values=logs,
        ticks=tuple(float(tick) for tick in ticks),
        tick_texts=tuple(f"{10**tick:.1e}" for tick in ticks),
    )


def _interactive(axes: list[_Axis], rank: Floats) -> Any:
    figure = go.Figure(
        go.Parcoords(
            line={
                "color": 1 - rank,  # plotly draws the highest on top
                "colorscale": f"{_COLOURS}_r",
                "cmin": 0,
                "cmax": 1,
                "showscale": True,
                "colorbar": {
                    "title": {"text": "rank"},
                    "tickvals": [0, 1],
                    "ticktext": ["worst", "best"],
                },
            },
            dimensions=[
                {
                    "label": axis.label,
                    "values": axis.values,
                    "tickvals": axis.ticks,
                    "ticktext": axis.tick_texts,
                }
                for axis in axes
            ],
        )
    )
    figure.update_layout(height=520, template="plotly_white", margin={"l": 80, "r": 80, "t": 60})
    return figure


def _still(axes: list[_Axis], rank: Floats) -> StillFigure:
    figure = StillFigure(figsize=(13, 5.5), layout="constrained")
    panel = figure.subplots()
    heights = np.column_stack([_height(axis, axis.values) for axis in axes])
    colours = mpl.colormaps[_COLOURS](rank)
    for trial in range(len(rank)):
        panel.plot(heights[trial], color=colours[trial], alpha=0.55, lw=0.9)
    for position, axis in enumerate(axes):
        panel.axvline(position, color="black", lw=0.8)
        for tick, text in zip(axis.ticks, axis.tick_texts, strict=True):
            panel.annotate(
                text,
                (position, float(_height(axis, np.array([tick]))[0])),
                textcoords="offset points",
                xytext=(4, 0),
                va="center",
                fontsize=8,
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
            )
    panel.set_xticks(range(len(axes)), [axis.label for axis in axes])
    panel.set_yticks([])
    panel.set_xlim(-0.1, len(axes) - 0.55)
    for side in panel.spines.values():
        side.set_visible(False)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), _COLOURS)
    bar = figure.colorbar(scale, ax=panel, ticks=[0, 1], aspect=40, pad=0.01)
    bar.ax.set_yticklabels(["best", "worst"])
    return figure


def _height(axis: _Axis, values: Floats) -> Floats:
    """How high values of an axis stand in the picture, from 0 to 1."""
    low = float(min(axis.values.min(), *axis.ticks))
    high = float(max(axis.values.max(), *axis.ticks))
    if high == low:
        return np.full(len(values), 0.5)
    return (values - low) / (high - low)

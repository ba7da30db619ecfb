"""The map figure: depth against width. Which shape is best within a budget?"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure as StillFigure
from plotly.subplots import make_subplots

from mlproject.analysis.recommended import Recommendation
from mlproject.analysis.report.figure import ReportFigure, by_size
from mlproject.analysis.report.shape_map import ShapeMap, shape_map, verdict

_COLOURS = "viridis"
_PLOTLY_COLOURS = "Viridis"
_RING = "#D55E00"
_INSET = 0.04
"""Of a ring from the edge of its cell, so that neighbours keep theirs apart."""


def shape_map_figure(
    frame: pd.DataFrame, recommended: Mapping[str, Recommendation]
) -> ReportFigure:
    """Draw a map per budget (rows) and target (columns); colours compare within a column."""
    budgets = by_size(list(frame["budget"]), list(frame["budget_parameters"]))
    targets = list(frame["target"].unique())
    maps = {
        (str(budget), str(target)): shape_map(str(budget), str(target), trials, recommended)
        for (budget, target), trials in frame.groupby(["budget", "target"], sort=False)
    }
    limits = {
        target: _limits([m for m in maps.values() if m.target == target]) for target in targets
    }
    return ReportFigure(
        name="depth_against_width",
        title="Depth against width",
        caption="What the study expects of the best architecture of each width and depth, with the "
        "best of the settings that it was tried with; below it the number of trials. Framed are "
        "the cells of all architectures that cannot be told from the one that the study "
        "recommends (the star), none where these are all cells. Where the study made no estimate, "
        "as is said below, it is what may be expected of a trial at a middling learning rate: the "
        "mean of the cell's trials, drawn towards the mean of all, the further the fewer they are "
        "and the less the cells differ at all; framed are then the cells that cannot be told from "
        "the best, which is among them in 95 % of cases, none where no cell differs from the "
        "others. Grey squares are shapes that the budget "
        "allows and no trial had. Darker is better; colours compare within a column, where the "
        "target is the same, and go over no less than what one trial scatters by. The lowest loss "
        "of a cell, which is luck for a good part, appears under the pointer.",
        findings=tuple(verdict(maps[b, t]) for b in budgets for t in targets if (b, t) in maps),
        interactive=_interactive(budgets, targets, maps, limits),
        still=_still(budgets, targets, maps, limits),
    )


def _limits(maps: list[ShapeMap]) -> tuple[float, float]:
    """The losses between which the colours of these maps go.

    Two standard deviations of a trial about its cell at least: a difference that is less than one
    trial's luck should not look like much.
    """
    values = np.concatenate([m.losses[~np.isnan(m.losses)] for m in maps])
    low, high = float(values.min()), float(values.max())
    scatter = max([m.estimates.scatter for m in maps if m.estimates.scatter > 0], default=0.0)
    missing = max(0.0, 2 * scatter - (high - low), 1e-6) / 2
    return low - missing, high + missing


def _still(
    budgets: list[str],
    targets: list[str],
    maps: dict[tuple[str, str], ShapeMap],
    limits: dict[str, tuple[float, float]],
) -> StillFigure:
    heights = [max(len(m.depths) for m in maps.values() if m.budget == b) for b in budgets]
    figure = StillFigure(
        figsize=(1.5 + 4.6 * len(targets), 1.2 + 0.4 * sum(heights) + 0.8 * len(budgets)),
        layout="constrained",
    )
    grid = figure.subplots(
        len(budgets), len(targets), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, budget in enumerate(budgets):
        for column, target in enumerate(targets):
            axes = grid[row][column]
            if (budget, target) not in maps:
                axes.set_axis_off()
                axes.text(0.5, 0.5, f"{budget}: no study", ha="center", color="0.5")
                continue
            _draw(axes, maps[budget, target], limits[target])
    for column, target in enumerate(targets):
        scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(*limits[target]), _COLOURS)
        bar = figure.colorbar(scale, ax=list(grid[:, column]), location="bottom", aspect=40)
        bar.set_label(f"expected validation loss, {target}")
    return figure


def _draw(axes: Axes, of: ShapeMap, limits: tuple[float, float]) -> None:
    untried = of.allowed & np.isnan(of.losses)
    axes.pcolormesh(np.where(untried, 1.0, np.nan), cmap="Greys", vmin=0, vmax=6, edgecolor="white")
    low, high = limits
    axes.pcolormesh(of.losses, cmap=_COLOURS, vmin=low, vmax=high, edgecolor="white")
    for row, column in np.argwhere(~np.isnan(of.losses)):
        loss = of.losses[row, column]
        dark = (loss - low) / (high - low) < 0.55
        axes.text(
            *(column + 0.5, row + 0.5, f"{loss:.4f}\n{of.counts[row, column]}"),
            ha="center",
            va="center",
            fontsize=6.5,
            linespacing=0.95,
            color="white" if dark else "black",
        )
    for row, column in np.argwhere(of.ringed):
        corner = (column + _INSET, row + _INSET)
        side = 1 - 2 * _INSET
        axes.add_patch(mpl.patches.Rectangle(corner, side, side, fill=False, ec=_RING, lw=2))
    if of.recommended is not None:
        row, column = of.recommended
        axes.plot(column + 0.86, row + 0.82, "*", color=_RING, mec="white", mew=0.6, ms=9)
    axes.set_xticks(np.arange(len(of.widths)) + 0.5, [str(width) for width in of.widths])
    axes.set_yticks(np.arange(len(of.depths)) + 0.5, [str(depth) for depth in of.depths])
    axes.tick_params(length=0, labelsize=8)
    axes.set_title(f"{of.budget}, {of.target}", fontsize=10)
    axes.set_xlabel("d_model", fontsize=9)
    axes.set_ylabel("n_layers", fontsize=9)


def _interactive(
    budgets: list[str],
    targets: list[str],
    maps: dict[tuple[str, str], ShapeMap],
    limits: dict[str, tuple[float, float]],
) -> Any:
    titles = [
        f"{b}, {t}" if (b, t) in maps else f"{b}, {t}: no study" for b in budgets for t in targets
    ]
    heights = [max(len(m.depths) for m in maps.values() if m.budget == b) for b in budgets]
    figure = make_subplots(
        rows=len(budgets),
        cols=len(targets),
        subplot_titles=titles,
        row_heights=heights,
        vertical_spacing=0.32 / (len(budgets) + 1),
    )
    for (budget, target), of in maps.items():
        row, column = budgets.index(budget) + 1, targets.index(target) + 1
        for trace in _traces(of, f"coloraxis{column}"):
            figure.add_trace(trace, row=row, col=column)
        half = 0.5 - _INSET
        for ringed_row, ringed_column in np.argwhere(of.ringed):
            figure.add_shape(
                type="rect",
                **{"x0": ringed_column - half, "x1": ringed_column + half},
                **{"y0": ringed_row - half, "y1": ringed_row + half},
                line={"color": _RING, "width": 2},
                row=row,
                col=column,
            )
    figure.update_xaxes(title={"text": "d_model", "standoff": 4}, showgrid=False)
    figure.update_yaxes(title={"text": "n_layers", "standoff": 4}, showgrid=False)
    height = 190 + 32 * sum(heights) + 90 * len(budgets)
    for column, target in enumerate(targets, start=1):
        low, high = limits[target]
        start, end = figure.layout[f"xaxis{'' if column == 1 else column}"].domain
        figure.update_layout(
            {
                f"coloraxis{column}": {
                    "cmin": low,
                    "cmax": high,
                    "colorscale": _PLOTLY_COLOURS,
                    "colorbar": {
                        "orientation": "h",
                        "x": (start + end) / 2,
                        "len": end - start,
                        "y": -75 / height,
                        "yanchor": "top",
                        "thickness": 10,
                        "title": {"text": f"expected loss, {target}", "side": "bottom"},
                    },
                }
            }
        )
    figure.update_layout(height=height, template="plotly_white", margin={"t": 70, "b": 140})
    return figure


def _traces(of: ShapeMap, color_axis: str) -> list[Any]:
    """The traces of a map, with texts on the axes: 64 and 128 are as far apart as 1024 and 2048."""
    axes = {"x": [str(w) for w in of.widths], "y": [str(d) for d in of.depths]}
    untried = np.where(of.allowed & np.isnan(of.losses), 1.0, np.nan)
    stars = np.full(of.losses.shape, "", dtype=object)
    if of.recommended is not None:
        stars[of.recommended] = " ★"
    grey = [[0, "#dddddd"], [1, "#dddddd"]]
    return [
        go.Heatmap(
            **axes,
            z=untried,
            colorscale=grey,
            showscale=False,
            xgap=2,
            ygap=2,
            hovertemplate="d_model %{x}, n_layers %{y}: never tried<extra></extra>",
        ),
        go.Heatmap(
            **axes,
            z=of.losses,
            customdata=np.dstack([of.counts.astype(object), of.lowest, stars]),
            coloraxis=color_axis,
            xgap=2,
            ygap=2,
            texttemplate="%{z:.4f}<br>%{customdata[0]}%{customdata[2]}",
            textfont={"size": 9},
            hovertemplate="d_model %{x}, n_layers %{y}: %{customdata[0]} trials, expected "
            "%{z:.4f}, luckiest %{customdata[1]:.4f}<extra></extra>",
        ),
    ]

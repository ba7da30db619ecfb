"""The pictures of an evaluation.

They are matplotlib figures of their own: no window and no global state is needed.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from mlproject.analysis.baselines.baseline import (
    GRADIENT_BOOSTING,
    LAGGED_RETURNS,
    LOGISTIC_REGRESSION,
    PRIOR,
    TITLES,
    VOLATILITY,
)
from mlproject.analysis.claims.day_means import CONFIDENCE
from mlproject.analysis.evaluation.results import TestResults
from mlproject.tracking.names import TestMetric

Floats = npt.NDArray[np.float64]

# Okabe and Ito, Color Universal Design.
_COLOURS = {
    "network": "#0072B2",
    VOLATILITY: "#CC79A7",
    LAGGED_RETURNS: "#E69F00",
    LOGISTIC_REGRESSION: "#D55E00",
    GRADIENT_BOOSTING: "#009E73",
    PRIOR: "#777777",
}
_BINS = 8


def draw_pictures(results: TestResults) -> Iterator[tuple[str, Figure]]:
    """Draw every picture under its name; curves of two classes are left out where there is one."""
    if results.labels.min() < results.labels.max():
        yield "roc", _roc(results)
        yield "precision_recall", _precision_recall(results)
    yield "calibration", _calibration(results)
    yield "confusion_matrix", _confusion_matrix(results)
    yield "loss_difference", _loss_difference(results)


def _roc(results: TestResults) -> Figure:
    figure, axes = _square("ROC curve, test span")

    def points(probabilities: Floats) -> tuple[Floats, Floats]:
        false_rises, rises, _ = roc_curve(results.labels, probabilities)
        return false_rises, rises

    axes.plot([0, 1], [0, 1], color=_COLOURS[PRIOR], linestyle="--", label="no skill")
    _curves(axes, results, points, TestMetric.AUC, "AUC")
    axes.set(xlabel="share of other days called a rise", ylabel="share of rises found")
    _limits(axes)
    axes.legend(loc="lower right", fontsize="small")
    return figure


def _precision_recall(results: TestResults) -> Figure:
    figure, axes = _square("Precision and recall, test span")

    def points(probabilities: Floats) -> tuple[Floats, Floats]:
        precision, recall, _ = precision_recall_curve(results.labels, probabilities)
        # The last point is made up (precision 1 at recall 0): no prediction has it.
        return recall[:-1], precision[:-1]

    rate = results.labels.mean()
    axes.axhline(rate, color=_COLOURS[PRIOR], linestyle="--", label=f"share of rises {rate:.2f}")
    _curves(axes, results, points, TestMetric.AVERAGE_PRECISION, "AP")
    axes.set(xlabel="recall: share of rises found", ylabel="precision: share of calls that rise")
    _limits(axes)
    axes.legend(loc="upper right", fontsize="small")
    return figure


def _calibration(results: TestResults) -> Figure:
    figure, axes = _square("Calibration, test span")
    axes.plot([0, 1], [0, 1], color=_COLOURS[PRIOR], linestyle="--", label="perfect")
    furthest = 0.0
    compared = _compared(results)
    network, *others = compared
    others.sort(key=lambda name: -results.differences[name].mean)
    for name in (network, *others[:1]):  # more curves with error bars could not be told apart
        probabilities = compared[name]
        said, seen, error = _bins(probabilities, results.labels)
        furthest = max(furthest, said.max(), (seen + error).max())
        axes.errorbar(
            *(said, seen, error),
            color=_COLOURS[name],
            marker="o",
            markersize=4,
            capsize=2,
            linewidth=1.4 if name == "network" else 0.9,
            label=TITLES.get(name, "network, first seed"),
        )
    prior = results.baselines[PRIOR][0]
    axes.plot(
        *(prior, results.labels.mean()),
        marker="D",
        color=_COLOURS[PRIOR],
        linestyle="none",
        label="prior",
    )
    axes.set(
        xlabel=f"mean probability of {_BINS} equal groups of days",
        ylabel="share of rises in the group (± standard error)",
    )
    _limits(axes, min(1.0, furthest + 0.15))
    axes.legend(loc="upper left", fontsize="small")
    return figure


def _confusion_matrix(results: TestResults) -> Figure:
    figure, axes = _square("Confusion matrix at one half, test span")
    called, rose = results.network[0] > 0.5, results.labels > 0.5
    counts = np.array([[(called == c)[rose == r].sum() for c in (False, True)] for r in (0, 1)])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(
            *(column, row, f"{count}\n{share:.0%} of the row"),
            ha="center",
            va="center",
            color="white" if share > 0.5 else "black",
        )
    names = ["no rise", "rise"]
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names)
    axes.set(xlabel="called, by the network of the first seed", ylabel="happened")
    return figure


def _loss_difference(results: TestResults) -> Figure:
    names = list(results.differences)
    figure = Figure(figsize=(8.5, 1.3 + 0.35 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color=_COLOURS[PRIOR], linestyle="--", linewidth=1)
    for index, name in enumerate(names):
        found, colour = results.differences[name], _COLOURS[name]
        axes.plot([found.low, found.high], [index, index], marker="|", color=colour)
        axes.plot(found.mean, index, marker="o", color=colour)
    ends = [max(-d.low, d.high) for d in results.differences.values()]
    reach = 1.1 * max([end for end in ends if math.isfinite(end)], default=0.0) or 1.0
    axes.set(
        yticks=range(len(names)),
        yticklabels=[f"against {TITLES[name]}" for name in names],
        ylim=(len(names) - 0.5, -0.5),
        xlim=(-reach, reach),
        xlabel=f"log loss of the network minus that of the baseline ({CONFIDENCE:.0%} intervals)",
    )
    axes.set_title("← network better        baseline better →", fontsize="medium")
    return figure


def _curves(
    axes: Axes,
    results: TestResults,
    points: Callable[[Floats], tuple[Floats, Floats]],
    metric: TestMetric,
    short: str,
) -> None:
    ours = "network, first seed" + " (others pale)" * (len(results.network) > 1)
    for other in results.network[1:]:
        axes.step(*points(other), where="post", color=_COLOURS["network"], alpha=0.3, linewidth=0.8)
    for name, probabilities in _compared(results).items():
        scores = results.network_scores[0] if name == "network" else results.baseline_scores[name]
        axes.step(
            *points(probabilities),
            where="post",
            color=_COLOURS[name],
            linewidth=1.8 if name == "network" else 1.1,
            label=f"{TITLES.get(name, ours)}: {short} {scores[metric]:.3f}",
        )


def _compared(results: TestResults) -> Mapping[str, Floats]:
    """The predictors whose curves are drawn: the network that is served, and all but the prior."""
    others = {name: each for name, each in results.baselines.items() if name != PRIOR}
    return {"network": results.network[0], **others}


def _bins(probabilities: Floats, labels: Floats) -> tuple[Floats, Floats, Floats]:
    """The mean probability, the share of rises and its standard error of equally large groups."""
    groups = np.array_split(np.argsort(probabilities, kind="stable"), min(_BINS, len(labels)))
    said = np.array([probabilities[group].mean() for group in groups])
    seen = np.array([labels[group].mean() for group in groups])
    sizes = np.array([len(group) for group in groups])
    return said, seen, np.sqrt(seen * (1 - seen) / sizes)


def _square(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 6.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _limits(axes: Axes, top: float = 1.0) -> None:
    axes.set(xlim=(-0.01, top + 0.01), ylim=(-0.01, top + 0.01), aspect="equal")

"""The results of an evaluation on the test span: scores, differences and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pstdev

import numpy as np
import numpy.typing as npt

from mlproject.analysis.evaluation.scores import (
    LossDifference,
    log_losses,
    paired_block_bootstrap,
    score_probabilities,
)
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.tracking.names import TestMetric

Floats = npt.NDArray[np.float64]


class Verdict(StrEnum):
    """The four ways in which the network stands against a baseline."""

    NETWORK_WINS = "the network wins"
    NETWORK_AHEAD = "the network is ahead, but it may be luck"
    BASELINE_AHEAD = "the baseline is ahead, but it may be luck"
    BASELINE_WINS = "the baseline wins"


@dataclass(frozen=True, kw_only=True, eq=False)
class TestResults:
    """The probabilities of all test windows, and what follows from them."""

    __test__ = False  # no test of pytest's

    dates: npt.NDArray[np.datetime64]
    """(windows,): the last day of each window, in time order."""
    labels: Floats
    """(windows,): 0 or 1."""
    network: Floats
    """(seeds, windows): probabilities; the first seed's network is the one that is served."""
    network_scores: Sequence[Mapping[TestMetric, float]]
    """Of each seed."""
    baselines: Mapping[str, Floats]
    """(windows,) probabilities by name."""
    baseline_scores: Mapping[str, Mapping[TestMetric, float]]
    differences: Mapping[str, LossDifference]
    """Loss of the network, the mean over its seeds, minus that of each baseline."""
    markets: npt.NDArray[np.str_] | None = None
    """(windows,): the market of each; None where they are all of one."""

    def mean(self, metric: TestMetric) -> float | None:
        """The network's mean over the seeds; None where the metric means nothing."""
        values = [scores[metric] for scores in self.network_scores if metric in scores]
        return fmean(values) if values else None

    def spread(self, metric: TestMetric) -> float | None:
        """The standard deviation of the metric over the seeds, as `mean` has it."""
        values = [scores[metric] for scores in self.network_scores if metric in scores]
        return pstdev(values) if values else None

    def verdict(self, baseline: str) -> Verdict:
        """The verdict by the interval of the difference: without zero in it one of them wins."""
        difference = self.differences[baseline]
        if difference.mean < 0:
            return Verdict.NETWORK_WINS if difference.high < 0 else Verdict.NETWORK_AHEAD
        return Verdict.BASELINE_WINS if difference.low > 0 else Verdict.BASELINE_AHEAD


def score_test_set(
    *,
    dates: npt.NDArray[np.datetime64],
    labels: Floats,
    network: Floats,
    baselines: Mapping[str, Floats],
    horizon_days: int,
    markets: npt.NDArray[np.str_] | None = None,
) -> TestResults:
    """Score all probabilities of the test span and compare them, window by window.

    Two windows share a day, of input or of outcome, when they end less than `WINDOW_DAYS` +
    `horizon_days` days apart: that is the bootstrap's block. Windows of one date, of several
    markets, count as one day.
    """
    network_losses = np.mean([log_losses(each, labels) for each in network], axis=0)
    return TestResults(
        dates=dates,
        labels=labels,
        network=network,
        network_scores=[score_probabilities(each, labels) for each in network],
        baselines=baselines,
        baseline_scores={
            name: score_probabilities(each, labels) for name, each in baselines.items()
        },
        differences={
            name: paired_block_bootstrap(
                by_day(network_losses - log_losses(each, labels), dates),
                block_days=WINDOW_DAYS + horizon_days,
            )
            for name, each in baselines.items()
        },
        markets=markets,
    )


def by_day(windows: Floats, dates: npt.NDArray[np.datetime64]) -> Floats:
    """One figure per date, in time order, weighted so that their mean is that of the windows."""
    days, day = np.unique(dates, return_inverse=True)
    mean = windows.mean()
    sums = np.bincount(day, weights=windows - mean, minlength=len(days))
    return np.asarray(mean + sums * len(days) / len(windows), dtype=np.float64)

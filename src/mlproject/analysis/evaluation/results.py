"""The results of an evaluation on the test span: scores, intervals and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pstdev

import numpy as np
import numpy.typing as npt

from mlproject.analysis.claims.day_means import Days, Interval
from mlproject.analysis.claims.log_losses import log_losses
from mlproject.analysis.claims.score_influences import auc_influences
from mlproject.analysis.evaluation.scores import score_probabilities
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.tracking.names import TestMetric

Floats = npt.NDArray[np.float64]


class Verdict(StrEnum):
    """The four ways in which the network stands against a baseline."""

    NETWORK_WINS = "the network wins"
    NETWORK_AHEAD = "the network is ahead, but no win may be claimed"
    BASELINE_AHEAD = "the baseline is ahead, but it may be luck"
    BASELINE_WINS = "the baseline wins"


@dataclass(frozen=True, kw_only=True, eq=False)
class TestResults:
    """The probabilities of all test windows, and what follows from them."""

    __test__ = False  # no test of pytest's

    dates: npt.NDArray[np.datetime64]
    """(windows,): the last day of each window."""
    labels: Floats
    """(windows,): 0 or 1."""
    network: Floats
    """(seeds, windows): probabilities; the first seed's network is the one that is served."""
    network_scores: Sequence[Mapping[TestMetric, float]]
    """Of each seed."""
    baselines: Mapping[str, Floats]
    """(windows,) probabilities by name."""
    baseline_scores: Mapping[str, Mapping[TestMetric, float]]
    differences: Mapping[str, Interval]
    """Loss of the network, the mean over its seeds, minus that of each baseline; below zero the
    network is better. The intervals are about other days and seeds."""
    network_auc: Interval | None
    """As `mean` has it; None where all labels are the same, as in `baseline_aucs`."""
    baseline_aucs: Mapping[str, Interval]
    blocks: float
    """How many spans of days the test span is long that have no day in common, of input or of
    outcome: with few, every interval is itself a guess."""
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

    @property
    def best_baseline(self) -> str:
        """The baseline of lowest test loss."""
        return max(self.differences, key=lambda name: self.differences[name].mean)

    @property
    def network_wins(self) -> bool:
        """Whether the network beats the best baseline, whichever that is, and the prior.

        Every baseline has to be beaten, so no correction is needed: such a claim is false no more
        often than one interval misses (Berger, Multiparameter Hypothesis Testing, 1982). Better
        than a baseline that is worse than knowing nothing is no win.
        """
        return all(difference.high < 0 for difference in self.differences.values())

    def verdict(self, baseline: str) -> Verdict:
        """The verdict by the interval of the difference, which has to leave out zero for a win.

        That some baseline wins may be luck thrice, so its interval is the joint one.
        """
        difference = self.differences[baseline]
        if difference.mean < 0:
            return Verdict.NETWORK_WINS if self.network_wins else Verdict.NETWORK_AHEAD
        return Verdict.BASELINE_WINS if difference.joint_low > 0 else Verdict.BASELINE_AHEAD


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

    Windows of one date, of several markets, count as one day.
    """
    days = Days(dates, horizon_days)
    losses = np.stack([log_losses(each, labels) for each in network])
    leads = [losses - log_losses(each, labels) for each in baselines.values()]
    aucs: list[Interval] = []
    if labels.min() < labels.max():
        aucs = [
            days.intervals([np.stack([auc_influences(each, labels) for each in of])])[0]
            for of in (network, *(each[None] for each in baselines.values()))
        ]
    return TestResults(
        dates=dates,
        labels=labels,
        network=network,
        network_scores=[score_probabilities(each, labels) for each in network],
        baselines=baselines,
        baseline_scores={
            name: score_probabilities(each, labels) for name, each in baselines.items()
        },
        differences=dict(zip(baselines, days.intervals(leads), strict=True)),
        network_auc=aucs[0] if aucs else None,
        baseline_aucs=dict(zip(baselines, aucs[1:], strict=False)),
        blocks=days.count / min(WINDOW_DAYS + horizon_days, max(1, days.count // 2)),
        markets=markets,
    )

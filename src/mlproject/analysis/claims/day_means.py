"""The interval of a mean over days that go together, for several means at once.

Neighbouring windows share days of input and of outcome, so a mean of a thousand days is worth far
fewer. Its variance is taken from the lowest frequencies of the series, the equal-weighted cosine
estimate of Lazarus, Lewis, Stock and Watson (HAR Inference: Recommendations for Practice, Journal
of Business & Economic Statistics 36, 2018), and Student's t stands for how few these are.

With a long memory that variance is too small even so. As in Müller (HAC Corrections for Strongly
Autocorrelated Time Series, same journal 32, 2014) the interval is widened until it holds at the
longest memory it has to answer for: that of an autoregression which forgets in `MEMORY_DAYS`. The
number of frequencies is the one that makes this interval shortest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.signal import lfilter

from mlproject.analysis.claims.joint_t import joint_critical_value

CONFIDENCE = 0.95
MEMORY_DAYS = 40
_MOST_COSINES = 24

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and the limits between which the truth lies as often as `CONFIDENCE` says."""

    mean: float
    low: float
    high: float
    joint_low: float
    """As `low`, but the limits of all means that were asked for hold at once."""
    joint_high: float


def intervals_of_means(
    days: Floats, *, repeats: Floats | None = None, memory_days: int = MEMORY_DAYS
) -> list[Interval]:
    """Give the means of several series of days, shape (series, days), with their intervals.

    The joint ones hold at once as often as `CONFIDENCE` says, whatever the correlation between
    the series.

    `repeats` (series, seeds) are the means of the same series for each seed alone, of which `days`
    is the average. What seeds differ by is then part of the intervals; with one seed it cannot be,
    and they speak of that seed's network. The squares of the two half-lengths are added, which
    holds at least as often as either (Banerjee, Approximate Confidence Interval for Linear
    Functions of Means of k Populations, Sankhyā 22, 1960); few seeds make a long interval.
    """
    means = days.mean(axis=1)
    if days.shape[1] < 2:
        return [_interval(float(mean), math.inf, math.inf) for mean in means]
    cosines, widening = _calibration(days.shape[1], memory_days)
    coordinates = days @ _cosines(days.shape[1], cosines).T
    covariance = widening * coordinates @ coordinates.T / (cosines * days.shape[1])
    of_seeds = np.zeros(len(days))
    if repeats is not None and (seeds := repeats.shape[1]) > 1:
        critical = stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1)
        of_seeds = critical**2 * repeats.var(axis=1, ddof=1) / seeds
    alone, joint = (
        np.sqrt(critical**2 * np.diag(covariance) + of_seeds)
        for critical in (
            float(stats.t.ppf((1 + CONFIDENCE) / 2, cosines)),
            joint_critical_value(covariance, cosines, CONFIDENCE),
        )
    )
    return [
        _interval(*each)
        for each in zip(means.tolist(), alone.tolist(), joint.tolist(), strict=True)
    ]


class Days:
    """The days of windows (windows,), whichever their order; those of one date count as one day."""

    def __init__(self, dates: npt.NDArray[np.datetime64], horizon_days: int) -> None:
        found, self._day = np.unique(dates, return_inverse=True)
        self.count = len(found)
        self._memory_days = max(MEMORY_DAYS, horizon_days)

    def intervals(self, figures: Sequence[Floats]) -> list[Interval]:
        """Joint intervals of the means of figures, each of shape (seeds, windows)."""
        series = np.stack([self._by_day(each.mean(axis=0)) for each in figures])
        repeats = np.stack([each.mean(axis=1) for each in figures])
        return intervals_of_means(series, repeats=repeats, memory_days=self._memory_days)

    def _by_day(self, windows: Floats) -> Floats:
        """One figure per day, weighted so that their mean is that of the windows."""
        mean = windows.mean()
        sums = np.bincount(self._day, weights=windows - mean, minlength=self.count)
        return np.asarray(mean + sums * self.count / len(windows), dtype=np.float64)


def _interval(mean: float, reach: float, joint_reach: float) -> Interval:
    return Interval(
        mean=mean,
        low=mean - reach,
        high=mean + reach,
        joint_low=mean - joint_reach,
        joint_high=mean + joint_reach,
    )


@cache
def _calibration(days: int, memory_days: int) -> tuple[int, float]:
    """The number of cosines, and by how much their variance falls short at the longest memory."""
    most = min(_MOST_COSINES, days - 1)
    basis = _cosines(days, most)
    seen = _variances(basis, memory_days)
    of_sum = _variances(np.ones((1, days)), memory_days)[0]
    counts = np.arange(1, most + 1)
    widening = (of_sum / days) / (np.cumsum(seen) / counts)
    lengths = stats.t.ppf((1 + CONFIDENCE) / 2, counts) * np.sqrt(widening)
    best = int(np.argmin(lengths))
    return best + 1, float(widening[best])


def _variances(weights: Floats, memory_days: int) -> Floats:
    """Of weighted sums, weights (sums, days), of an autoregression of variance 1."""
    keeps = math.exp(-1 / memory_days)
    before = lfilter([1], [1, -keeps], weights, axis=1)
    after = lfilter([1], [1, -keeps], weights[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((weights * (before + after - weights)).sum(axis=1), dtype=np.float64)


def _cosines(days: int, count: int) -> Floats:
    """The first cosines of type II, shape (count, days); each is orthogonal to a constant."""
    middles = (np.arange(days) + 0.5) / days
    waves = np.cos(np.pi * np.outer(np.arange(1, count + 1), middles))
    return np.asarray(math.sqrt(2 / days) * waves, dtype=np.float64)

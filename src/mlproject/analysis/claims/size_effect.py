"""What studies of several sizes say of size: it helps, it hurts, or it cannot be told.

What looks like an effect of size and is none: a study that searched longer has a lower best loss;
one whose trials scatter more has too; trials that were pruned or diverged are missing where they
were bad; and whole studies differ by their seed and the order of their data. So

- equal numbers: of each study its first trials, as many as the shortest study has;
- two figures per study, the mean of its best fifth and its median: a wider scatter moves the one
  and not the other, whichever kind of scatter it is, and only what both say is claimed;
- each in two ways, with the trials that were stopped (at the lowest loss they had, which flatters
  nothing but them, or as worse than all) and without them;
- a line through the studies, least squares in the logarithms, with Student's t on their number
  less two. Its residuals are what studies differ by beside their size, so that offset is in the
  interval without being known. Two sizes leave no residual, and nothing is claimed.

The interval is the hull of the four, and a claim takes all of them: such an intersection-union test
errs no more often than one of its parts (Berger, Multiparameter Hypothesis Testing and Acceptance
Sampling, Technometrics 24, 1982). The form of the line, a power law without a floor, is that of
Kaplan et al., Scaling Laws for Neural Language Models, 2020.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

CONFIDENCE = 0.95
POWER = 0.8
BEST_SHARE = 0.2
LEAST_TRIALS = 10
"""A study with fewer has no best fifth to speak of."""
LEAST_COMPLETE = 5
LEAST_SIZES = 3
LEAST_RATIO = 1.5
"""Sizes closer together than this are one size."""

_RESAMPLES = 200

Floats = npt.NDArray[np.float64]


class SizeVerdict(StrEnum):
    """The three answers."""

    HELPS = "scale helps"
    HURTS = "scale hurts"
    CANNOT_BE_TOLD = "cannot be told"


@dataclass(frozen=True, kw_only=True)
class SizedStudy:
    """The trials of one study, in the order in which they were begun."""

    params: float
    """Number of parameters, of a middle trial."""
    losses: Floats
    """Lowest loss of each; infinite where a trial was stopped and its losses are not known."""
    complete: npt.NDArray[np.bool_]
    """False for a trial that was pruned or diverged."""


@dataclass(frozen=True, kw_only=True)
class SizeEffect:
    """The line through the studies, and the interval of its slope."""

    trials: int
    """How many of each study were compared."""
    sizes: int
    params: Floats
    """(studies,)"""
    best: Floats
    """(studies,): the mean loss of the best fifth of the trials that are compared."""
    slope: float
    """Change of the logarithm of the loss per tenfold parameters, of the best fifth."""
    low: float
    high: float
    residual: float
    """Variance of the studies about the line, in the logarithm of the loss."""
    within: float
    """What of it is due to which trials happened to be tried."""

    @property
    def verdict(self) -> SizeVerdict:
        """A claim only where the interval leaves out zero."""
        if self.high < 0:
            return SizeVerdict.HELPS
        return SizeVerdict.HURTS if self.low > 0 else SizeVerdict.CANNOT_BE_TOLD

    @property
    def per_tenfold(self) -> tuple[float, float, float]:
        """Relative change of the loss with ten times the parameters: fitted, lowest, highest."""
        fitted, low, high = (math.expm1(each) for each in (self.slope, self.low, self.high))
        return fitted, low, high

    @property
    def detectable(self) -> float:
        """The smallest slope, up or down, that studies like these would show in `POWER`."""
        return _detectable(self.residual, self._spread, len(self.params))

    @property
    def detectable_with_more_trials(self) -> float:
        """The same with four times the trials in each."""
        fewer = max(self.residual - 0.75 * self.within, self.residual / 4)
        return _detectable(fewer, self._spread, len(self.params))

    @property
    def detectable_with_more_studies(self) -> float:
        """The same with two more studies of every size, with other seeds."""
        return _detectable(self.residual, 3 * self._spread, 3 * len(self.params))

    @property
    def _spread(self) -> float:
        steps = np.log10(self.params)
        return float(((steps - steps.mean()) ** 2).sum())

    def line(self, params: Floats) -> tuple[Floats, Floats, Floats]:
        """Give the fitted loss, and what the least and the greatest slope make of it.

        All three go through the middle of the studies: what is uncertain here is the slope.
        """
        middle = np.log10(self.params).mean()
        level = np.log(self.best).mean()
        steps = np.log10(params) - middle
        ends = np.exp(level + np.outer([self.low, self.high], steps))
        return np.exp(level + self.slope * steps), ends.min(axis=0), ends.max(axis=0)


@dataclass(frozen=True)
class NoSizeEffect:
    """Why nothing can be said of size."""

    reason: str


def size_effect(studies: Sequence[SizedStudy]) -> SizeEffect | NoSizeEffect:
    """Compare studies of one target, of which those with `LEAST_TRIALS` finished trials count."""
    studies = [
        each
        for each in studies
        if len(each.losses) >= LEAST_TRIALS and each.complete.sum() >= LEAST_COMPLETE
    ]
    sizes = _distinct([each.params for each in studies])
    if sizes < LEAST_SIZES:
        names = ("no size", "one size", "two sizes")
        return NoSizeEffect(
            f"{names[sizes]} with {LEAST_TRIALS} finished trials; a claim takes {LEAST_SIZES} of "
            f"them, each at least {LEAST_RATIO:g} times the one before, since studies differ by "
            "more than size"
        )
    trials = min(len(each.losses) for each in studies)
    complete = min(int(each.complete.sum()) for each in studies)
    samples = {
        "finished": [each.losses[:trials] for each in studies],
        "complete": [each.losses[each.complete][:complete] for each in studies],
    }
    if not all(np.isfinite(_middle(losses)) for losses in samples["finished"]):
        return NoSizeEffect(
            "in a study half of the trials that are compared were pruned or diverged and left no "
            "loss, so that its middle is not known"
        )
    steps = np.log10([each.params for each in studies])
    lines = [
        _fit(steps, np.log([figure(losses) for losses in of]))
        for of in samples.values()
        for figure in (_best, _middle)
    ]
    best = np.array([_best(losses) for losses in samples["finished"]])
    slope, _, residual = lines[0]
    return SizeEffect(
        trials=trials,
        sizes=sizes,
        params=np.array([each.params for each in studies]),
        best=best,
        slope=slope,
        low=min(line[0] - line[1] for line in lines),
        high=max(line[0] + line[1] for line in lines),
        residual=residual,
        within=float(np.mean([_sampling_variance(losses) for losses in samples["finished"]])),
    )


def _distinct(params: Sequence[float]) -> int:
    """How many sizes there are, each at least `LEAST_RATIO` times the one before."""
    found: list[float] = []
    for each in sorted(params):
        if not found or each >= LEAST_RATIO * found[-1]:
            found.append(each)
    return len(found)


def _best(losses: Floats) -> float:
    return float(np.sort(losses)[: math.ceil(BEST_SHARE * len(losses))].mean())


def _middle(losses: Floats) -> float:
    return float(np.median(losses))


def _fit(steps: Floats, levels: Floats) -> tuple[float, float, float]:
    """Slope, half of its interval, and the variance of the residuals."""
    centred = steps - steps.mean()
    spread = (centred**2).sum()
    slope = float(centred @ levels / spread)
    degrees = len(steps) - 2
    variance = float(((levels - levels.mean() - slope * centred) ** 2).sum() / degrees)
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
    return slope, float(critical * math.sqrt(variance / spread)), variance


def _sampling_variance(losses: Floats) -> float:
    """The variance of the log of the best fifth from trials drawn anew."""
    generator = np.random.default_rng(0)
    drawn = np.sort(generator.choice(losses, (_RESAMPLES, len(losses))), axis=1)
    best = drawn[:, : math.ceil(BEST_SHARE * len(losses))].mean(axis=1)
    return float(np.log(best[np.isfinite(best)]).var())


def _detectable(variance: float, spread: float, studies: int) -> float:
    """The slope that is told from zero in `POWER` of cases, by the noncentral t."""
    degrees = studies - 2
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, degrees)
    needed = optimize.brentq(lambda nc: stats.nct.sf(critical, degrees, nc) - POWER, 0, 100)
    return float(needed * math.sqrt(variance / spread))

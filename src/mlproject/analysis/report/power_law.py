"""The power law of the best losses in the number of parameters. Does scale help?

Its form, without a floor, is that of Kaplan et al., Scaling Laws for Neural Language Models, 2020.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BEST_SHARE = 0.2
"""The law is fitted to this share of each study's trials, the best: the single best is luck for a
good part and lower the more trials there are, and the bootstrap of a minimum does not converge
(Bickel and Freedman, Some Asymptotic Theory for the Bootstrap, 1981)."""
LEAST_TRIALS = 10
"""A study with fewer trials has no best fifth to speak of."""
RESAMPLES = 1000
CONFIDENCE = 0.95

_LEAST_SPAN = 3.0
_POINTS = 60

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A fitted law, loss = constant · parameters^(-exponent), with pointwise confidence limits."""

    params: Floats
    """Numbers of parameters, from the smallest to the largest that was tried."""
    loss: Floats
    low: Floats
    high: Floats
    exponent: float
    exponent_low: float
    exponent_high: float

    @property
    def per_tenfold(self) -> tuple[float, float, float]:
        """Relative change of the loss with ten times the parameters: fitted, lowest, highest."""
        exponents = (self.exponent, self.exponent_high, self.exponent_low)
        fitted, low, high = (10**-each - 1 for each in exponents)
        return fitted, low, high


def fit_power_law(studies: Sequence[tuple[Floats, Floats]], *, seed: int = 0) -> PowerLaw | None:
    """Fit the best trials of several studies, given as (parameters, losses) each.

    Least squares in the logarithms, every study of the same weight. The band comes from resampling
    the trials within each study and fitting anew: it tells how far the law hangs on which trials
    happened to be tried, not what other years of data would say.

    Returns None where there is nothing to fit: studies of fewer than two sizes (they have to span
    a factor of three) with ten trials each.
    """
    studies = [(params, losses) for params, losses in studies if len(losses) >= LEAST_TRIALS]
    if not studies:
        return None
    centres = [float(np.median(params)) for params, _ in studies]
    if max(centres) / min(centres) < _LEAST_SPAN:
        return None
    every = np.concatenate([params for params, _ in studies])
    params = np.geomspace(every.min(), every.max(), _POINTS)
    slope, level = _fit(studies)
    generator = np.random.default_rng(seed)
    slopes, curves = [], []
    for _ in range(RESAMPLES):
        drawn = [_resample(study, generator) for study in studies]
        drawn_slope, drawn_level = _fit(drawn)
        slopes.append(drawn_slope)
        curves.append(drawn_level + drawn_slope * np.log(params))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.exp(np.quantile(curves, tails, axis=0))
    steepest, flattest = np.quantile(slopes, tails)
    return PowerLaw(
        params=params,
        loss=np.exp(level + slope * np.log(params)),
        low=low,
        high=high,
        exponent=-slope,
        exponent_low=-float(flattest),
        exponent_high=-float(steepest),
    )


def _fit(studies: Sequence[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Slope and level of log loss over log parameters, through the best trials of each study."""
    best, weights = [], []
    for params, losses in studies:
        chosen = np.argsort(losses, kind="stable")[: math.ceil(BEST_SHARE * len(losses))]
        best.append(np.log([params[chosen], losses[chosen]]))
        weights.append(np.full(len(chosen), len(chosen) ** -0.5))
    log_params, log_losses = np.concatenate(best, axis=1)
    slope, level = np.polyfit(log_params, log_losses, 1, w=np.concatenate(weights))
    return float(slope), float(level)


def _resample(
    study: tuple[Floats, Floats], generator: np.random.Generator
) -> tuple[Floats, Floats]:
    params, losses = study
    drawn = generator.integers(len(losses), size=len(losses))
    return params[drawn], losses[drawn]

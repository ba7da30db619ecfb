"""What the trials of a study say of the losses behind them: an estimate for each configuration.

The lowest loss of many trials belongs to the luckiest of them. Here all trials are taken together:
a configuration's expected loss over seeds is estimated from its own trials, its replicates
included, and from those of configurations like it. It is a Gaussian process with noise (Rasmussen
and Williams, "Gaussian Processes for Machine Learning", 2006, chapter 2), whose covariance is a sum
of one part for each cause: the architecture, the training settings, what only this pair of both
shares, the common seed of one replicate number, what that does to all networks of one width, whose
matrices begin alike, and noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

INTERVAL = 0.90
"""The probability that an interval holds the expected loss."""

DRAWS = 4_000
"""From the posterior, for the probability of being the best."""

_OUTLIER = 1.5
"""A loss that lies so many interquartile ranges above the upper quartile is taken for that: how
bad the bad ones are says nothing of the good ones."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One trial that has a loss."""

    arm: int
    """Which configuration it was of: the position in the coordinates."""
    seed: int
    """Which of the study's seeds it had."""
    loss: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Coordinates:
    """Where the configurations lie, a row each."""

    architecture: Floats
    """(arms, dimensions), such that a step of 1 is a factor of two."""
    settings: Floats
    """(arms, dimensions), such that each searched range is 1 wide."""
    widths: Indices
    """(arms,), the d_model of each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """The expected losses of all configurations, with how certain they are."""

    mean: Floats
    """(arms,) in the unit of the losses."""
    covariance: Floats
    """(arms, arms)."""

    @cached_property
    def deviation(self) -> Floats:
        """The standard deviation of each estimate, (arms,)."""
        return np.sqrt(np.clip(np.diag(self.covariance), 0.0, None))

    def draws(self, seed: int, count: int = DRAWS) -> Floats:
        """What the expected losses might be, (count, arms)."""
        rng = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        return self.mean + rng.standard_normal((count, len(self.mean))) @ root.T


@dataclass(frozen=True, kw_only=True)
class _Scales:
    """How large each cause is, as standard deviations of the scaled losses, and the lengths over
    which the loss changes."""

    architecture: float = 0.4
    settings: float = 0.8
    both: float = 0.2
    seed: float = 0.3
    seed_of_width: float = 0.3
    noise: float = 0.2
    architecture_length: float = 2.0
    settings_length: float = 0.5


# In the middle of what was seen in trainings of full length, and wide: a handful of trials cannot
# tell these, and the prior has to.
_TYPICAL = _Scales()
_SPREAD = 0.7
"""The standard deviation of the logarithm of each scale, before anything is known."""
_FURTHEST = 4.0
"""How far its logarithm may be from the typical one's."""
_LEAST = 1e-6
_WIDENED = 1.15
"""The factor on all deviations: the likeliest scales are not the true ones (decision 13)."""


def estimate(coordinates: Coordinates, observations: Sequence[Observation]) -> Estimates:
    """Estimate the expected loss of every configuration from the trials there are.

    Raises:
        ValueError: there is no observation.
    """
    if not observations:
        raise ValueError("no trial has a loss to be estimated from")
    losses = _without_outliers(np.array([each.loss for each in observations]))
    arms = np.array([each.arm for each in observations])
    seeds = np.array([each.seed for each in observations])
    centre = float(np.median(losses))
    unit = max(float(losses.std()), _LEAST)
    scaled = (losses - centre) / unit
    model = _Model(coordinates, arms, seeds, scaled)
    with threadpool_limits(1):  # more threads only wait for each other on matrices as small
        scales = model.most_likely_scales()
        mean, covariance = model.posterior(scales)
    return Estimates(
        mean=centre + unit * mean,
        covariance=(_WIDENED * unit) ** 2 * covariance,
    )


def _of_logs(logs: Floats) -> _Scales:
    return _Scales(**dict(zip(vars(_TYPICAL), np.exp(logs).tolist(), strict=True)))


def _without_outliers(losses: Floats) -> Floats:
    low, high = np.quantile(losses, (0.25, 0.75))
    return np.minimum(losses, high + _OUTLIER * max(high - low, _LEAST))


class _Model:
    """The Gaussian process of one study, in scaled losses."""

    def __init__(
        self,
        coordinates: Coordinates,
        arms: Indices,
        seeds: Indices,
        losses: Floats,
    ) -> None:
        self._arms = arms
        self._all = np.arange(len(coordinates.architecture))
        self._architecture = coordinates.architecture
        self._settings = coordinates.settings
        self._of_trials = self._distances(arms, arms)
        widths = coordinates.widths[arms]
        same_seed = seeds[:, None] == seeds[None, :]
        self._same_seed = same_seed.astype(float)
        self._same_width_too = (same_seed & (widths[:, None] == widths[None, :])).astype(float)
        self._losses = losses

    def most_likely_scales(self) -> _Scales:
        """The scales of the highest posterior density, from a fixed start."""
        start = np.log(np.array(list(vars(_TYPICAL).values())))

        def cost(logs: Floats) -> float:
            prior = float(np.sum((logs - start) ** 2)) / (2 * _SPREAD**2)
            return prior + self._minus_log_likelihood(_of_logs(logs))

        bounds = [(each - _FURTHEST, each + _FURTHEST) for each in start]
        found = minimize(cost, start, method="L-BFGS-B", bounds=bounds)
        return _of_logs(found.x)

    def posterior(self, scales: _Scales) -> tuple[Floats, Floats]:
        """Mean (arms,) and covariance (arms, arms) of the expected losses."""
        between = _covariance(self._distances(self._all, self._arms), scales)
        factor = self._factor(scales)
        # The overall level is unknown: a flat prior over it (generalised least squares).
        weights = cho_solve(factor, np.ones(len(self._losses)))
        level = float(weights @ self._losses / weights.sum())
        mean = level + between @ cho_solve(factor, self._losses - level)
        explained = solve_triangular(factor[0], between.T, lower=True)
        unsure = 1.0 - between @ weights
        whole = _covariance(self._distances(self._all, self._all), scales)
        covariance = whole - explained.T @ explained
        return mean, covariance + np.outer(unsure, unsure) / weights.sum()

    def _minus_log_likelihood(self, scales: _Scales) -> float:
        factor = self._factor(scales)
        weights = cho_solve(factor, np.ones(len(self._losses)))
        rest = self._losses - weights @ self._losses / weights.sum()
        fit = float(rest @ cho_solve(factor, rest))
        return 0.5 * (fit + np.log(weights.sum())) + float(np.log(np.diag(factor[0])).sum())

    def _factor(self, scales: _Scales) -> tuple[Floats, bool]:
        of_trials = _covariance(self._of_trials, scales)
        of_trials += scales.seed**2 * self._same_seed
        of_trials += scales.seed_of_width**2 * self._same_width_too
        of_trials += (scales.noise**2 + _LEAST) * np.eye(len(self._arms))
        factor, lower = cho_factor(of_trials, lower=True)
        return np.tril(factor), lower

    def _distances(self, one: Indices, other: Indices) -> "_Distances":
        return _Distances(
            architecture=_square_distances(self._architecture[one], self._architecture[other]),
            settings=_square_distances(self._settings[one], self._settings[other]),
            same=(one[:, None] == other[None, :]).astype(float),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Distances:
    """How far configurations lie apart, squared, (some, others)."""

    architecture: Floats
    settings: Floats
    same: Floats
    """1 where both are the same one."""


def _covariance(distances: _Distances, scales: _Scales) -> Floats:
    of_architecture = np.exp(-0.5 * distances.architecture / scales.architecture_length**2)
    of_settings = np.exp(-0.5 * distances.settings / scales.settings_length**2)
    return (
        scales.architecture**2 * of_architecture
        + scales.settings**2 * of_settings
        + scales.both**2 * distances.same
    )


def _square_distances(one: Floats, other: Floats) -> Floats:
    """(n, dimensions) and (m, dimensions) to (n, m)."""
    return np.asarray(((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=-1))

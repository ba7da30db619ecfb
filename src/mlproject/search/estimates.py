"""What the trials of a study say of the losses behind them: an estimate for each configuration.

The lowest loss of many trials belongs to the luckiest of them. Here all trials are taken together:
a configuration's expected loss over seeds is estimated from its own trials, its replicates
included, and from those of configurations like it. It is a Gaussian process with noise (Rasmussen
and Williams, "Gaussian Processes for Machine Learning", 2006, chapter 2), whose covariance is a sum
of one part for each cause: the architecture, the training settings, what only this pair of both
shares, the common seed of one replicate number, and noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

Floats = npt.NDArray[np.float64]

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
    """Infinite where the training diverged: at least as bad as any."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Coordinates:
    """Where the configurations lie, a row each."""

    architecture: Floats
    """(arms, dimensions), such that a step of 1 is a factor of two."""
    settings: Floats
    """(arms, dimensions), such that each searched range is 1 wide."""

    def of(self, arms: Sequence[int]) -> Self:
        """Those of some configurations, in this order, repeated where asked for."""
        return replace(self, architecture=self.architecture[arms], settings=self.settings[arms])


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


@dataclass(frozen=True)
class _Scales:
    """How large each cause is, as standard deviations of the scaled losses, and the lengths over
    which the loss changes."""

    architecture: float
    settings: float
    both: float
    seed: float
    noise: float
    architecture_length: float
    settings_lengths: Floats
    """One for each setting."""

    @classmethod
    def typical(cls, n_settings: int) -> Self:
        """In the middle of what was seen in trainings of full length: a handful of trials cannot
        tell these, and the prior has to."""
        return cls(0.4, 0.8, 0.2, 0.4, 0.2, 2.0, np.full(n_settings, 0.7))

    def logs(self) -> Floats:
        """All of them in one row."""
        *single, lengths = (getattr(self, field.name) for field in fields(self))
        return np.log(np.array([*single, *lengths]))

    @classmethod
    def of_logs(cls, logs: Floats) -> Self:
        """The inverse of `logs`."""
        *single, _ = (field.name for field in fields(cls))
        values = np.exp(logs)
        named = dict(zip(single, map(float, values), strict=False))
        return cls(**named, settings_lengths=values[len(single) :])


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
    return Posterior(coordinates, observations).at(coordinates)


class Posterior:
    """What the trials of one study say of any configuration, tried or not.

    Raises:
        ValueError: there is no observation.
    """

    def __init__(self, coordinates: Coordinates, observations: Sequence[Observation]) -> None:
        if not observations:
            raise ValueError("no trial has a loss to be estimated from")
        losses = _without_outliers(np.array([each.loss for each in observations]))
        seeds = np.array([each.seed for each in observations])
        self._tried = coordinates.of([each.arm for each in observations])
        self._centre = float(np.median(losses))
        self._unit = max(float(losses.std()), _LEAST)
        self._losses = (losses - self._centre) / self._unit
        self._same_seed = (seeds[:, None] == seeds[None, :]).astype(float)
        self._apart = _Apart.between(self._tried, self._tried)
        with threadpool_limits(1):  # more threads only wait for each other on matrices as small
            self._scales = self._most_likely_scales()
            self._factor = self._factor_of(self._scales)
            # The overall level is unknown: a flat prior over it (generalised least squares).
            self._weights = cho_solve(self._factor, np.ones(len(losses)))

    def at(self, coordinates: Coordinates) -> Estimates:
        """The expected losses of these configurations."""
        with threadpool_limits(1):
            mean, explained, unsure = self._moments(coordinates)
            whole = _covariance(_Apart.between(coordinates, coordinates), self._scales)
            covariance = whole - explained.T @ explained
            covariance += np.outer(unsure, unsure) / self._weights.sum()
        return Estimates(
            mean=self._centre + self._unit * mean,
            covariance=(_WIDENED * self._unit) ** 2 * covariance,
        )

    def marginals(self, coordinates: Coordinates) -> tuple[Floats, Floats]:
        """Mean and standard deviation of each expected loss alone: of many configurations."""
        with threadpool_limits(1):
            mean, explained, unsure = self._moments(coordinates)
        scales = self._scales
        variance = scales.architecture**2 + scales.settings**2 + scales.both**2
        variance -= (explained**2).sum(axis=0)
        variance += unsure**2 / self._weights.sum()
        deviation = np.sqrt(np.clip(variance, 0.0, None))
        return self._centre + self._unit * mean, _WIDENED * self._unit * deviation

    def _moments(self, coordinates: Coordinates) -> tuple[Floats, Floats, Floats]:
        between = _covariance(_Apart.between(coordinates, self._tried), self._scales)
        weights = self._weights
        level = float(weights @ self._losses / weights.sum())
        mean = level + between @ cho_solve(self._factor, self._losses - level)
        explained = solve_triangular(self._factor[0], between.T, lower=True)
        return mean, explained, 1.0 - between @ weights

    def _most_likely_scales(self) -> _Scales:
        """The scales of the highest posterior density, from a fixed start."""
        start = _Scales.typical(self._apart.settings.shape[-1]).logs()

        def cost(logs: Floats) -> float:
            prior = float(np.sum((logs - start) ** 2)) / (2 * _SPREAD**2)
            return prior + self._minus_log_likelihood(_Scales.of_logs(logs))

        bounds = [(each - _FURTHEST, each + _FURTHEST) for each in start]
        return _Scales.of_logs(minimize(cost, start, method="L-BFGS-B", bounds=bounds).x)

    def _minus_log_likelihood(self, scales: _Scales) -> float:
        factor = self._factor_of(scales)
        weights = cho_solve(factor, np.ones(len(self._losses)))
        rest = self._losses - weights @ self._losses / weights.sum()
        fit = float(rest @ cho_solve(factor, rest))
        return 0.5 * (fit + np.log(weights.sum())) + float(np.log(np.diag(factor[0])).sum())

    def _factor_of(self, scales: _Scales) -> tuple[Floats, bool]:
        of_trials = _covariance(self._apart, scales)
        of_trials += scales.seed**2 * self._same_seed
        of_trials += (scales.noise**2 + _LEAST) * np.eye(len(self._losses))
        factor, lower = cho_factor(of_trials, lower=True)
        return np.tril(factor), lower


def _without_outliers(losses: Floats) -> Floats:
    low, high = np.quantile(losses[np.isfinite(losses)], (0.25, 0.75))
    return np.minimum(losses, high + _OUTLIER * max(high - low, _LEAST))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Apart:
    """How far configurations lie apart, squared, (some, others)."""

    architecture: Floats
    settings: Floats
    """(some, others, settings)."""
    same: Floats
    """1 where both are the same one."""

    @classmethod
    def between(cls, some: Coordinates, others: Coordinates) -> Self:
        """Each of some from each of others."""
        architecture = _square_differences(some.architecture, others.architecture).sum(axis=-1)
        settings = _square_differences(some.settings, others.settings)
        same = (architecture == 0) & (settings == 0).all(axis=-1)
        return cls(architecture=architecture, settings=settings, same=same.astype(float))


def _covariance(apart: _Apart, scales: _Scales) -> Floats:
    of_architecture = np.exp(-0.5 * apart.architecture / scales.architecture_length**2)
    of_settings = np.exp(-0.5 * (apart.settings @ scales.settings_lengths**-2.0))
    return np.asarray(
        scales.architecture**2 * of_architecture
        + scales.settings**2 * of_settings
        + scales.both**2 * apart.same
    )


def _square_differences(one: Floats, other: Floats) -> Floats:
    """(n, dimensions) and (m, dimensions) to (n, m, dimensions)."""
    return np.asarray((one[:, None, :] - other[None, :, :]) ** 2)

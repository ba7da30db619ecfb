"""The architecture that a study recommends: the lowest estimate, not the luckiest trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial
from scipy.stats import norm

from mlproject.models.arch_grid import Architecture
from mlproject.search.configurations import configurations, estimate_configurations
from mlproject.search.estimates import INTERVAL
from mlproject.search.search_space import SearchSpace, derived_seed

CANNOT_BE_TOLD = 0.05
"""An architecture belongs to the set that cannot be told from the recommended one when it is better
with at least this probability."""


@dataclass(frozen=True, kw_only=True)
class ArchitectureEstimate:
    """What the trials say of one architecture, with the best of the settings it was tried with."""

    architecture: Architecture
    trial: int
    """The first trial of the configuration whose estimate this is."""
    n_trials: int
    """Complete trials of the architecture."""
    n_seeds: int
    """Those of them that are of this configuration, each with a seed of its own."""
    val_loss: float
    """The expected validation loss over seeds."""
    low: float
    """The lower end of its interval of probability `INTERVAL`."""
    high: float
    probability_best: float
    """That no other architecture tried has a lower expected loss."""
    is_among_best: bool
    """Whether it cannot be told from the one that is recommended."""

    def as_text(self) -> str:
        """The architecture, readable."""
        each = self.architecture
        return (
            f"d_model {each.d_model}, n_layers {each.n_layers}, n_heads {each.n_heads}, "
            f"d_ff {each.d_ff}"
        )


def rank_architectures(
    trials: Sequence[FrozenTrial], space: SearchSpace
) -> list[ArchitectureEstimate]:
    """The architectures that a study tried, the recommended one first; none without a loss."""
    tried = configurations(trials, space)
    if not tried:
        return []
    estimates = estimate_configurations(tried, space)
    best_arms: dict[int, int] = {}
    n_trials: dict[int, int] = {}
    for arm, each in enumerate(tried):
        arch_idx = each.architecture.arch_idx
        n_trials[arch_idx] = n_trials.get(arch_idx, 0) + len(each.losses)
        if estimates.mean[arm] < estimates.mean[best_arms.setdefault(arch_idx, arm)]:
            best_arms[arch_idx] = arm
    arms = sorted(best_arms.values(), key=lambda arm: float(estimates.mean[arm]))
    draws = estimates.draws(derived_seed(space.settings.seed, len(trials)))[:, arms]
    best = draws.argmin(axis=1)
    half = float(norm.ppf((1 + INTERVAL) / 2)) * estimates.deviation
    return [
        ArchitectureEstimate(
            architecture=tried[arm].architecture,
            trial=tried[arm].first_trial,
            n_trials=n_trials[tried[arm].architecture.arch_idx],
            n_seeds=len(tried[arm].losses),
            val_loss=float(estimates.mean[arm]),
            low=float(estimates.mean[arm] - half[arm]),
            high=float(estimates.mean[arm] + half[arm]),
            probability_best=float((best == place).mean()),
            is_among_best=place == 0
            or float((draws[:, place] < draws[:, 0]).mean()) >= CANNOT_BE_TOLD,
        )
        for place, arm in enumerate(arms)
    ]

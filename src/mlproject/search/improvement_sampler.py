"""A sampler that asks the study's own estimates where a trial promises most.

It is Bayesian optimisation with the Gaussian process of `mlproject.search.estimates`: of many
configurations the one is taken whose expected loss is expected to lie furthest below the lowest
estimate so far (Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box
Functions", 1998, with the estimate in the place of the lowest loss, since losses are noisy).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState
from scipy.special import ndtr
from scipy.stats import qmc

from mlproject.models.arch_grid import Architecture
from mlproject.search.configurations import (
    Configuration,
    configurations,
    coordinates_of,
    observations_of,
)
from mlproject.search.estimates import Coordinates, Observation, Posterior
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import known_params

_NEAR_BEST = 5
_NEARBY = 100
"""So many configurations are looked at near each of the `_NEAR_BEST` best."""
_STEPS = (0.1, 0.03)
"""How near: the standard deviation in each setting, as a share of its range; one round each."""

Params = dict[str, Any]


class ImprovementSampler(BaseSampler):
    """The sampler of one trial; what it suggests follows from the study's trials and the seed.

    Args:
        space: what it may choose from.
        seed: of its draws.
        n_startup_trials: so many trials with a loss are spread over the whole space before the
            estimates are asked.
        n_candidates: configurations from the whole space that are looked at.
    """

    def __init__(
        self, space: SearchSpace, *, seed: int, n_startup_trials: int, n_candidates: int
    ) -> None:
        self._space = space
        self._ranges = space.ranges
        self._n_startup_trials = n_startup_trials
        self._n_candidates = n_candidates
        self._rng = np.random.default_rng(seed)
        self._independent = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 # Optuna's signature
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        """The whole space, or nothing of a trial all of whose params are given."""
        distributions = self._space.distributions
        return {} if distributions.keys() <= known_params(trial).keys() else distributions

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> Params:
        """A configuration that has those params that are given."""
        if not search_space:
            return {}
        given = known_params(trial)
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        if sum(each.state is TrialState.COMPLETE for each in others) < self._n_startup_trials:
            return self._spread(trial.number, given)
        return self._most_promising(others, given)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """By chance: what the space does not have."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _spread(self, number: int, given: Mapping[str, Any]) -> Params:
        """The settings of a sequence that leaves no gap, an architecture by chance."""
        sequence = qmc.Halton(len(self._ranges), seed=self._space.settings.seed)
        sequence.fast_forward(number)
        return self._params(self._any_architecture(), sequence.random(1)[0], given)

    def _most_promising(self, trials: Sequence[FrozenTrial], given: Mapping[str, Any]) -> Params:
        tried = configurations(trials, self._space)
        posterior = self._posterior(trials, tried)
        known = [each.params for each in tried]
        means, _ = posterior.marginals(self._where(known))
        near = [dict(known[arm]) for arm in np.argsort(means)[:_NEAR_BEST]]
        looked_at = [
            self._params(self._any_architecture(), shares, given)
            for shares in self._rng.random((self._n_candidates, len(self._ranges)))
        ]
        for step in _STEPS:
            looked_at += [self._near(params, step, given) for params in near * _NEARBY]
            # What was tried is a replicate's to try again.
            looked_at = [each for each in looked_at if each not in known] or looked_at
            promised = self._improvement(posterior, looked_at, float(means.min()))
            near = [looked_at[place] for place in np.argsort(-promised)[:_NEAR_BEST]]
        return near[0]

    def _posterior(
        self, trials: Sequence[FrozenTrial], tried: Sequence[Configuration]
    ) -> Posterior:
        """Of all trials: who diverged is as bad as the worst, who still runs as most."""
        others = [trial for trial in trials if self._has_no_loss(trial)]
        typical = float(np.median([loss for each in tried for loss in each.losses.values()]))
        without_loss = [
            Observation(
                arm=arm,
                seed=self._space.seed_index(trial.number, trial.user_attrs),
                loss=math.inf if trial.state is TrialState.PRUNED else typical,
            )
            for arm, trial in enumerate(others, len(tried))
        ]
        where = self._where([*(each.params for each in tried), *map(known_params, others)])
        return Posterior(where, [*observations_of(tried), *without_loss])

    def _has_no_loss(self, trial: FrozenTrial) -> bool:
        is_whole = self._space.distributions.keys() <= known_params(trial).keys()
        return is_whole and trial.state in (TrialState.RUNNING, TrialState.PRUNED)

    def _improvement(
        self, posterior: Posterior, looked_at: Sequence[Params], best: float
    ) -> npt.NDArray[np.float64]:
        """By how much each is expected to be below `best`, in nats."""
        means, deviations = posterior.marginals(self._where(looked_at))
        deviations = np.maximum(deviations, np.finfo(float).tiny)
        scaled = (best - means) / deviations
        density = np.exp(-0.5 * scaled**2) / math.sqrt(2 * math.pi)
        return np.asarray(deviations * (scaled * ndtr(scaled) + density))

    def _where(self, of_params: Sequence[Mapping[str, Any]]) -> Coordinates:
        return coordinates_of([(self._architecture(p), p) for p in of_params], self._space)

    def _near(self, params: Mapping[str, Any], step: float, given: Mapping[str, Any]) -> Params:
        """Another configuration like this one, of the same architecture or any."""
        shares = [allowed.share(params[name]) for name, allowed in self._ranges.items()]
        moved = np.clip(shares + self._rng.normal(0, step, len(shares)), 0, 1)
        stays = self._rng.random() < 0.5
        architecture = self._architecture(params) if stays else self._any_architecture()
        return self._params(architecture, moved, given)

    def _any_architecture(self) -> Architecture:
        architectures = self._space.grid.architectures
        return architectures[int(self._rng.integers(len(architectures)))]

    def _architecture(self, params: Mapping[str, Any]) -> Architecture:
        architecture = self._space.architecture(params)
        assert architecture is not None
        return architecture

    def _params(
        self,
        architecture: Architecture,
        shares: npt.NDArray[np.float64],
        given: Mapping[str, Any],
    ) -> Params:
        settings = {
            name: allowed.at(share)
            for (name, allowed), share in zip(self._ranges.items(), map(float, shares), strict=True)
        }
        return self._space.architecture_params(architecture) | settings | dict(given)

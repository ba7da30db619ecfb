"""The configurations that a study has tried, and what its trials say of each.

A configuration is an architecture with its training settings; its replicates differ from it in the
seed alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from mlproject.models.arch_grid import Architecture
from mlproject.search.estimates import Coordinates, Estimates, Observation, estimate
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import known_params

_STEP_OF_HEADS = 0.25
"""A factor of two in the heads counts as so much of one in another dimension: with common seeds,
heads change the loss least."""

MOST = 200
"""Configurations whose losses are estimated: the time that takes grows with their cube."""
_BEST = 20


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One architecture with its training settings, and the trials of it."""

    architecture: Architecture
    params: Mapping[str, Any]
    """As the sampler chose them, or as they were enqueued."""
    first_trial: int
    """The number of the first trial of it."""
    losses: Mapping[int, float]
    """The lowest validation loss of each complete trial, by the index of its seed."""
    begun: frozenset[int]
    """The indices of the seeds of its trials in any state but failed."""

    @property
    def next_replicate(self) -> int:
        """The first of the study's common seeds that it was not tried with."""
        return min(set(range(len(self.begun) + 1)) - self.begun)


def configurations(trials: Sequence[FrozenTrial], space: SearchSpace) -> list[Configuration]:
    """The configurations with at least one complete trial, in the order of their first trials.

    Of more than `MOST` these are those nearest to the best ones: chosen by where they lie and not
    by their losses, so that the lucky among them have their unlucky neighbours.
    """
    groups: dict[tuple[tuple[str, Any], ...], list[FrozenTrial]] = {}
    for trial in trials:
        params = known_params(trial)
        if trial.state is not TrialState.FAIL and _is_whole(params, space):
            groups.setdefault(tuple(sorted(params.items())), []).append(trial)
    found = []
    for of_params in groups.values():
        params = known_params(of_params[0])
        architecture = space.architecture(params)
        losses = {
            space.seed_index(trial.number, trial.user_attrs): trial.value
            for trial in of_params
            if trial.state is TrialState.COMPLETE
            and trial.value is not None
            and math.isfinite(trial.value)
        }
        if losses and architecture is not None:
            found.append(
                Configuration(
                    architecture=architecture,
                    params=params,
                    first_trial=of_params[0].number,
                    losses=losses,
                    begun=frozenset(
                        space.seed_index(trial.number, trial.user_attrs) for trial in of_params
                    ),
                )
            )
    return found if len(found) <= MOST else _nearest_to_best(found, space)


def _nearest_to_best(tried: Sequence[Configuration], space: SearchSpace) -> list[Configuration]:
    where = _coordinates(tried, space)
    lie = np.hstack([where.architecture, where.settings])
    losses = [np.mean(list(each.losses.values())) for each in tried]
    best = lie[np.argsort(losses)[:_BEST]]
    apart = np.min([((lie - each) ** 2).sum(axis=1) for each in best], axis=0)
    return [tried[arm] for arm in sorted(np.argsort(apart, kind="stable")[:MOST])]


def estimate_configurations(tried: Sequence[Configuration], space: SearchSpace) -> Estimates:
    """The expected loss of each configuration.

    Raises:
        ValueError: there is none.
    """
    return estimate(
        _coordinates(tried, space),
        [
            Observation(arm=arm, seed=seed, loss=loss)
            for arm, each in enumerate(tried)
            for seed, loss in each.losses.items()
        ],
    )


def _coordinates(tried: Sequence[Configuration], space: SearchSpace) -> Coordinates:
    ranges = space.ranges.items()
    return Coordinates(
        architecture=np.array([place_of(each.architecture) for each in tried]),
        settings=np.array(
            [[allowed.share(each.params[name]) for name, allowed in ranges] for each in tried]
        ),
        widths=np.array([each.architecture.d_model for each in tried]),
    )


def _is_whole(params: Mapping[str, Any], space: SearchSpace) -> bool:
    return space.architecture(params) is not None and all(n in params for n in space.ranges)


def place_of(architecture: Architecture) -> tuple[float, float, float, float]:
    """Where an architecture lies: the logarithms of its width, depth, d_ff for its width, heads."""
    return (
        math.log2(architecture.d_model),
        math.log2(architecture.n_layers),
        math.log2(architecture.d_ff / architecture.d_model),
        _STEP_OF_HEADS * math.log2(architecture.n_heads),
    )

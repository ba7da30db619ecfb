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

STEP_OF_HEADS = 0.25
"""A factor of two in the heads counts as so much of one in another dimension: with common seeds,
heads change the loss least."""


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
    """The configurations with at least one complete trial, in the order of their first trials."""
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
    return found


def estimate_configurations(tried: Sequence[Configuration], space: SearchSpace) -> Estimates:
    """The expected loss of each configuration.

    Raises:
        ValueError: there is none.
    """
    coordinates = Coordinates(
        architecture=np.array([_place(each.architecture) for each in tried]),
        settings=np.array(
            [
                [allowed.share(each.params[name]) for name, allowed in space.ranges.items()]
                for each in tried
            ]
        ),
    )
    return estimate(
        coordinates,
        [
            Observation(arm=arm, seed=seed, loss=loss)
            for arm, each in enumerate(tried)
            for seed, loss in each.losses.items()
        ],
    )


def _is_whole(params: Mapping[str, Any], space: SearchSpace) -> bool:
    return space.architecture(params) is not None and all(n in params for n in space.ranges)


def _place(architecture: Architecture) -> tuple[float, ...]:
    return (
        math.log2(architecture.d_model),
        math.log2(architecture.n_layers),
        math.log2(architecture.d_ff / architecture.d_model),
        STEP_OF_HEADS * math.log2(architecture.n_heads),
    )

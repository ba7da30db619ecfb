"""What a study takes over from smaller ones of the same task: configurations that it tries first.

A configuration is carried over in logarithms: the architecture of the larger grid is the one whose
ratio of depth to width, ratio of d_ff to d_model and number of heads are nearest to those of the
smaller one; the training settings stay as they are, within the ranges. It is a prior that a few
trials overrule: what is carried over is tried as a trial like any other.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import FrozenTrial

from mlproject.models.arch_grid import Architecture, ArchitectureGrid
from mlproject.search.carried_over import CarriedOver
from mlproject.search.configurations import place_of
from mlproject.search.recommendation import rank_architectures
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import own_trials

MOST_CARRIED_OVER = 3
_OF_NEAREST = 2
"""Architectures of the study nearest in size; of each other study the recommended one alone."""


@dataclass(frozen=True, kw_only=True)
class SmallerStudy:
    """A study of the same task on the same data, of fewer parameters."""

    name: str
    space: SearchSpace
    trials: Sequence[FrozenTrial]


def carry_over(studies: Iterable[SmallerStudy], space: SearchSpace) -> tuple[CarriedOver, ...]:
    """The configurations to begin with, the most promising first; none where no trial has a loss.

    These are the architectures of the lowest estimates of the study nearest in size, then the
    recommended ones of those below it.
    """
    found: dict[tuple[tuple[str, Any], ...], CarriedOver] = {}
    by_size = sorted(studies, key=lambda study: -study.space.settings.budget.parameters)
    for study in by_size:
        ranked = rank_architectures(own_trials(study.trials), study.space)
        for each in ranked[: 1 if found else _OF_NEAREST]:
            trial = study.trials[each.trial]
            params = {
                **space.architecture_params(like(each.architecture, space.grid)),
                **space.nearest_settings(trial.params),
            }
            source = f"trial {each.trial} of {study.name}"
            key = tuple(sorted(params.items()))
            found.setdefault(key, CarriedOver(source=source, params=params))
    return tuple(found.values())[:MOST_CARRIED_OVER]


def like(architecture: Architecture, grid: ArchitectureGrid) -> Architecture:
    """The architecture of another grid that is most like this one in its proportions."""
    there = _proportions(architecture)
    return min(
        grid.architectures, key=lambda each: (math.dist(_proportions(each), there), each.arch_idx)
    )


def _proportions(architecture: Architecture) -> tuple[float, float, float]:
    width, depth, d_ff, heads = place_of(architecture)
    return depth - width, d_ff, heads

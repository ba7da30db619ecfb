"""What the sampler may choose, and how its choices become an architecture and settings.

The sampler sees an architecture as two coordinates: `shape_index`, the position among the distinct
(d_model, n_layers, d_ff) sorted by size, and `log2_n_heads`. One integer `arch_idx` would mix the
two in one axis; independent dimensions with rejection collapse to a few architectures (see
docs/decisions/0002-sampler.md).

The ranges themselves stand in `mlproject.training.settings.HYPERPARAMETERS`, beside what they are
ranges of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from mlproject.models.arch_grid import (
    CURRENT_GRID_VERSION,
    LOG2_N_HEADS,
    SHAPE_INDEX,
    Architecture,
    ArchitectureGrid,
    architecture_grid,
)
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import Param, Tag
from mlproject.training.recipe import RECIPES
from mlproject.training.settings import (
    CURRENT_SEARCH_SPACE,
    Between,
    Hyperparameter,
    Number,
    Range,
    TrainingSettings,
    searched_in,
)

FIRST_ATTEMPT_ATTR = "first_attempt"
"""The number of the trial that a retry tries again: it has the same seed and can go on from the
checkpoint that the first one left."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """The search space of one study: a grid of architectures and the ranges of one version."""

    grid: ArchitectureGrid
    settings: StudySettings

    @classmethod
    def of(cls, settings: StudySettings, n_features: int) -> Self:
        """The search space of a study; what the settings leave open is the current version.

        Raises:
            UnknownBudget: no architecture of the grid fits the budget.
        """
        grid_version = settings.grid_version or CURRENT_GRID_VERSION
        version = settings.search_space or CURRENT_SEARCH_SPACE
        return cls(
            grid=architecture_grid(settings.budget, n_features, grid_version),
            settings=replace(settings, grid_version=grid_version, search_space=version),
        )

    @property
    def version(self) -> int:
        """Which ranges, sampler and pruner; never edited once published, as the grid's versions."""
        return self.settings.search_space or CURRENT_SEARCH_SPACE

    @property
    def ranges(self) -> dict[str, Range]:
        """The range of each hyper-parameter that is searched, by name, in the order of asking."""
        return {row.name: self._range(row) for row in searched_in(self.version)}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna may choose from for each param, in the order of asking."""
        return {
            **{
                name: IntDistribution(lowest, highest)
                for name, (lowest, highest) in self.grid.coordinate_ranges.items()
            },
            **{name: _distribution(allowed) for name, allowed in self.ranges.items()},
        }

    def suggest(self, trial: optuna.Trial) -> tuple[Architecture, TrainingSettings]:
        """Ask the sampler for a trial's architecture and training settings."""
        self.suggest_params(trial)
        architecture = self.architecture(trial.params)
        settings = self.training_settings(
            self.seed_index(trial.number, trial.user_attrs), trial.params
        )
        assert architecture is not None and settings is not None
        return architecture, settings

    def suggest_params(self, trial: optuna.Trial) -> None:
        """Ask the sampler for all params of a trial, those of the architecture first."""
        for name, distribution in self.distributions.items():
            _suggest(trial, name, distribution)

    def architecture(self, params: Mapping[str, Any]) -> Architecture | None:
        """The architecture that a trial's params choose; None before they do."""
        if SHAPE_INDEX not in params or LOG2_N_HEADS not in params:
            return None
        return self.grid.at(shape_index=params[SHAPE_INDEX], log2_n_heads=params[LOG2_N_HEADS])

    def architecture_params(self, architecture: Architecture) -> dict[str, int]:
        """The params that choose `architecture`: the inverse of `architecture`."""
        return self.grid.coordinates(architecture)

    def training_settings(
        self, seed_index: int, params: Mapping[str, Any]
    ) -> TrainingSettings | None:
        """The training settings that a trial's params choose; None before they do.

        The seed is the study's `seed_index`-th.
        """
        if any(name not in params for name in self.ranges):
            return None
        recipe = RECIPES[self.version]
        settings = TrainingSettings(
            **{name: params[name] for name in self.ranges},
            batch_size=self.settings.batch_size,
            seed=derived_seed(self.settings.seed, seed_index),
            recipe=recipe,
            max_steps=self.settings.max_steps,
        )
        patience = recipe.patience_epochs(settings.epochs)
        return replace(settings, patience_epochs=patience or settings.patience_epochs)

    @property
    def has_replicates(self) -> bool:
        """Whether trials share common seeds, so that some of them can repeat others."""
        return self.version > 1

    def seed_index(self, number: int, user_attrs: Mapping[str, Any]) -> int:
        """Which seed of the study the trial of this number has.

        That of its replicate number, common to all architectures; in the first version of the
        search space one of its own, which a retry shares with the first attempt.
        """
        if self.has_replicates:
            return int(user_attrs.get(Tag.REPLICATE, 0))
        return int(user_attrs.get(FIRST_ATTEMPT_ATTR, number))

    def nearest_settings(self, params: Mapping[str, Any]) -> dict[str, Number]:
        """The training settings nearest to `params` that the search allows, where they are given.

        Other studies searched other ranges, and Optuna would use a value outside them.
        """
        return {
            name: allowed.nearest(params[name])
            for name, allowed in self.ranges.items()
            if name in params
        }

    def describe(self) -> dict[str, str]:
        """The ranges, readable, for the parent run."""
        return {
            SHAPE_INDEX: f"0..{len(self.grid.shapes) - 1}",
            "n_heads": " ".join(map(str, self.grid.values("n_heads"))),
            **{name: str(allowed) for name, allowed in self.ranges.items()},
            **RECIPES[self.version].describe(),
        }

    def _range(self, row: Hyperparameter) -> Range:
        allowed = row.searched[self.version]
        cap = self.settings.max_epochs
        if row.name == Param.EPOCHS and cap and isinstance(allowed, Between):
            return replace(allowed, low=min(allowed.low, cap), high=min(allowed.high, cap))
        return allowed


def derived_seed(study_seed: int, index: int) -> int:
    """An independent seed for each index in a study, whatever order they are asked for in."""
    return int(np.random.SeedSequence([study_seed, index]).generate_state(1)[0])


def _distribution(allowed: Range) -> BaseDistribution:
    if not isinstance(allowed, Between):
        return CategoricalDistribution(allowed.values)
    if isinstance(allowed.low, int):
        return IntDistribution(allowed.low, int(allowed.high), log=allowed.log)
    return FloatDistribution(allowed.low, allowed.high, log=allowed.log)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> None:
    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    elif isinstance(distribution, FloatDistribution):
        trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)

"""What the sampler may choose, and how its choices become an architecture and settings.

The sampler sees an architecture as a place in a table: `shape_index`, the position among the
distinct (d_model, n_layers, d_ff) sorted by size, and `log2_n_heads`. One integer `arch_idx` would
mix the two in one axis; independent dimensions with rejection collapse to a few architectures (see
docs/decisions/0002-sampler.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from mlproject.models.arch_grid import (
    LOG2_N_HEADS,
    SHAPE_INDEX,
    Architecture,
    ArchitectureGrid,
)
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import SEARCHED_PARAMS
from mlproject.training.settings import TrainingSettings

FIRST_ATTEMPT_ATTR = "first_attempt"
"""The number of the trial that a retry tries again: it has the same seed and can go on from the
checkpoint that the first one left."""

LEARNING_RATE = (1e-4, 1e-3)
EPOCHS = (50, 100)
WEIGHT_DECAY = (1e-5, 1e-3)
WARMUP_STEPS = (100, 200, 300, 500)
DROPOUT = (0.1, 0.3)


@dataclass(frozen=True)
class SearchSpace:
    """The search space of one study."""

    grid: ArchitectureGrid
    settings: StudySettings

    def suggest(self, trial: optuna.Trial) -> tuple[Architecture, TrainingSettings]:
        """Ask the sampler for a trial's architecture and training settings."""
        architecture = self.suggest_architecture(trial)
        trial.suggest_float("learning_rate", *LEARNING_RATE, log=True)
        trial.suggest_int("epochs", *self._epochs())
        trial.suggest_float("weight_decay", *WEIGHT_DECAY, log=True)
        trial.suggest_categorical("warmup_steps", WARMUP_STEPS)
        trial.suggest_float("dropout", *DROPOUT)
        seed_place = trial.user_attrs.get(FIRST_ATTEMPT_ATTR, trial.number)
        settings = self.training_settings(seed_place, trial.params)
        assert settings is not None
        return architecture, settings

    def suggest_architecture(self, trial: optuna.Trial) -> Architecture:
        """Ask the sampler for a trial's architecture alone."""
        for name, (lowest, highest) in self.grid.coordinate_ranges.items():
            trial.suggest_int(name, lowest, highest)
        architecture = self.architecture(trial.params)
        assert architecture is not None
        return architecture

    def architecture(self, params: Mapping[str, Any]) -> Architecture | None:
        """The architecture that a trial's params choose; None before they do."""
        if SHAPE_INDEX not in params or LOG2_N_HEADS not in params:
            return None
        return self.grid.at(shape_index=params[SHAPE_INDEX], log2_n_heads=params[LOG2_N_HEADS])

    def architecture_params(self, architecture: Architecture) -> dict[str, int]:
        """The params that choose `architecture`: the inverse of `architecture`."""
        return self.grid.coordinates(architecture)

    def training_settings(
        self, seed_place: int, params: Mapping[str, Any]
    ) -> TrainingSettings | None:
        """The training settings that a trial's params choose; None before they do.

        `seed_place` is the trial's number, or that of the first attempt at it.
        """
        if any(name not in params for name in SEARCHED_PARAMS):
            return None
        return TrainingSettings(
            **{name.value: params[name] for name in SEARCHED_PARAMS},
            batch_size=self.settings.batch_size,
            seed=derived_seed(self.settings.seed, seed_place),
            max_steps=self.settings.max_steps,
        )

    def nearest_settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The training settings nearest to `params` that the search allows, where they are given.

        Older studies searched other ranges, and Optuna would use a value outside them.
        """
        ranges: dict[str, tuple[float, float]] = {
            "learning_rate": LEARNING_RATE,
            "epochs": self._epochs(),
            "weight_decay": WEIGHT_DECAY,
            "dropout": DROPOUT,
        }
        found: dict[str, Any] = {
            name: min(max(params[name], low), high)
            for name, (low, high) in ranges.items()
            if name in params
        }
        if "warmup_steps" in params:
            wanted = params["warmup_steps"]
            found["warmup_steps"] = min(WARMUP_STEPS, key=lambda steps: abs(steps - wanted))
        return found

    def _epochs(self) -> tuple[int, int]:
        low, high = EPOCHS
        cap = self.settings.max_epochs or high
        return min(low, cap), min(high, cap)

    def describe(self) -> dict[str, str]:
        """The ranges, readable, for the parent run."""
        return {
            SHAPE_INDEX: f"0..{len(self.grid.shapes) - 1}",
            "n_heads": " ".join(map(str, self.grid.values("n_heads"))),
            "learning_rate": "{}..{} log".format(*LEARNING_RATE),
            "epochs": "{}..{}".format(*self._epochs()),
            "weight_decay": "{}..{} log".format(*WEIGHT_DECAY),
            "warmup_steps": " ".join(map(str, WARMUP_STEPS)),
            "dropout": "{}..{}".format(*DROPOUT),
        }


def derived_seed(study_seed: int, place: int) -> int:
    """An independent seed for each place in a study, whatever order places are visited in."""
    return int(np.random.SeedSequence([study_seed, place]).generate_state(1)[0])

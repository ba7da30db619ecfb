"""What a training needs to go on after a kill, in one file that is always whole."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mlproject.models.arch_grid import Architecture
from mlproject.training.plan import TrainingPlan
from mlproject.training.settings import TrainingSettings

SAVE_EVERY_SECONDS = 120.0
"""A training shorter than this never saves anything."""


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """Where one training saves its state, and what that training is."""

    path: Path
    study: Mapping[str, str | int]
    """What the training is part of: with other data or labels it is another training."""
    save_every_seconds: float = SAVE_EVERY_SECONDS

    def save(self, of: dict[str, Any], state: dict[str, Any]) -> None:
        """Replace what was saved. A kill at any moment leaves the old file or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self.path.with_suffix(".part")
        with written.open("wb") as file:
            torch.save({"of": self._whole(of), **state}, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.path)

    def load(self, of: dict[str, Any]) -> dict[str, Any] | None:
        """What this very training saved; None when it has not, or another one did.

        Read from the file where it is used, not held in memory beside the network.
        """
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(
            self.path, map_location="cpu", weights_only=True, mmap=True
        )
        return state if state.pop("of") == self._whole(of) else None

    def _whole(self, of: dict[str, Any]) -> dict[str, Any]:
        return {"study": dict(self.study), **of}

    def remove(self) -> None:
        """Forget what was saved."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".part").unlink(missing_ok=True)


def identity_of(
    architecture: Architecture, settings: TrainingSettings, plan: TrainingPlan
) -> dict[str, Any]:
    """What makes two trainings the same, in plain types. The data is the study's, and the layout
    may change on the way."""
    return {
        "architecture": asdict(architecture),
        "settings": asdict(settings),
        "plan": {key: str(value) for key, value in asdict(plan).items()},
    }

"""What a process needs to run trials of a study, whichever process it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mlproject.data.windows import WindowedData
from mlproject.experiments.objective import Objective, TrialWatcher
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.memory_plan import MemoryPlan, plan_memory
from mlproject.training.plan import TrainingPlan
from mlproject.training.scores import prior_loss
from mlproject.training.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a process trains."""

    devices: tuple[torch.device, ...]
    """More than one: each trial is trained on all of them."""
    memory_limit_bytes: int | None = None
    """What the process may hold there in all; None where it is alone."""


@dataclass(frozen=True, kw_only=True)
class TrialContext:
    """What all trials of a launch share."""

    space: SearchSpace
    plan: TrainingPlan
    data: WindowedData
    checkpoints: Path
    """Folder of what trials at work save."""

    def objective(
        self, placement: Placement, watch: Callable[[TrialRun], TrialWatcher]
    ) -> Objective:
        """The objective of a process that trains at `placement`."""
        data = self.data.to(placement.devices[0])
        return Objective(
            space=self.space,
            plan=self.plan,
            data=data,
            checkpoints=self.checkpoints,
            prior_loss=prior_loss(data.labels[data.validation], data.base_rate),
            watch=watch,
            memory_limit_bytes=placement.memory_limit_bytes,
            devices=placement.devices,
        )


def plan_for(placement: Placement, space: SearchSpace) -> MemoryPlan:
    """The memory plan of a process that trains at `placement`.

    Raises:
        TooLittleMemory: the largest architecture does not fit there.
    """
    settings = space.settings
    workload = Workload.on(
        placement.devices,
        n_features=space.grid.num_features,
        batch_size=settings.batch_size,
        memory_limit_bytes=placement.memory_limit_bytes,
    )
    return plan_memory(
        space.grid.architectures,
        workload,
        optimiser=settings.optimiser,
        precision=settings.precision,
    )

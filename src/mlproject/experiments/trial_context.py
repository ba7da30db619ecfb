"""What a process needs to run trials of a study, whichever process it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mlproject.data.windows import WindowedData
from mlproject.experiments.objective import Objective, TrialWatcher
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.cost import EpochShape, cost_of_window, operations_of_step
from mlproject.training.layer_speed import step_seconds
from mlproject.training.memory_plan import MemoryPlan, plan_memory
from mlproject.training.plan import TrainingPlan
from mlproject.training.scores import prior_loss
from mlproject.training.workload import Workload

OPERATIONS_TO_WAIT_FOR = 1e11
"""A step with fewer takes a second or so wherever it is: a few of them are waited for."""


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

    @property
    def epoch_shape(self) -> EpochShape:
        """How much there is to do in an epoch."""
        settings = self.space.settings
        return EpochShape.of(
            self.data, batch_size=settings.batch_size, max_steps=settings.max_steps
        )

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
    return plan_memory(
        space.grid.architectures,
        _workload(placement, space),
        optimiser=settings.optimiser,
        precision=settings.precision,
    )


def seconds_of_cost(placement: Placement, space: SearchSpace, plan: TrainingPlan) -> float | None:
    """How long a process that trains at `placement` takes for a unit of cost, by one layer alone.

    None where the first steps take so little time that they tell it themselves.
    """
    workload = _workload(placement, space)
    kind = workload.device.type
    by_cost = sorted(space.grid.architectures, key=lambda row: cost_of_window(row, kind))
    middle = by_cost[len(by_cost) // 2]
    is_soon_known = operations_of_step(middle, workload.batch_size) < OPERATIONS_TO_WAIT_FOR
    if is_soon_known or kind == "cuda" or workload.n_processes > 1:
        return None
    seconds = step_seconds(middle, plan, workload)
    return seconds / (workload.batch_size * cost_of_window(middle, kind))


def _workload(placement: Placement, space: SearchSpace) -> Workload:
    return Workload.on(
        placement.devices,
        n_features=space.grid.num_features,
        batch_size=space.settings.batch_size,
        memory_limit_bytes=placement.memory_limit_bytes,
    )

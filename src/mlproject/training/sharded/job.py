"""The job of the processes that share one training, and what they tell their caller.

Beside these messages a process sends the `EpochMetrics` of each epoch and its `TrainingResult`.
"""

from dataclasses import dataclass

import torch

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.plan import Layout, TrainingPlan
from mlproject.training.settings import TrainingSettings


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every process is given; the process of rank r trains on `devices[r]`."""

    devices: tuple[torch.device, ...]
    architecture: Architecture
    data: WindowedData
    """On the CPU; each process copies it to its device."""
    settings: TrainingSettings
    plan: TrainingPlan
    checkpoint: CheckpointFile | None
    layout: Layout
    threads: int
    """Cores of a process whose device is a CPU."""


@dataclass(frozen=True)
class StepTaken:
    """The first process has taken `step` of the `steps` of an epoch."""

    step: int
    steps: int


@dataclass(frozen=True)
class Failure:
    """A process has failed."""

    reason: str
    at: float
    """`time.monotonic`, which all processes of a machine share."""

"""One training on several devices of this machine, a process for each."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.layouts import choose_layout
from mlproject.training.loop import OnEpoch, OnStep
from mlproject.training.plan import FP32_ADAMW, TrainingPlan
from mlproject.training.result import TrainingResult
from mlproject.training.settings import TrainingSettings
from mlproject.training.sharded.job import Job
from mlproject.training.sharded.processes import Processes
from mlproject.training.workload import Workload, usable_memory_bytes


def train_sharded(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    on_epoch: OnEpoch,
    *,
    devices: Sequence[torch.device],
    plan: TrainingPlan = FP32_ADAMW,
    checkpoint: CheckpointFile | None = None,
    on_step: OnStep | None = None,
) -> TrainingResult:
    """The result of `mlproject.training.train.train`, on all `devices` (two or more, all alike).

    Weights, gradients and optimiser state are shared out among them, and so is each batch. The
    callbacks are called in this process. `peak_memory_bytes` is that of the process with the
    highest peak.

    Raises:
        ProcessFailed: one of the processes failed, with its reason.
    """
    workload = Workload.on(devices, n_features=data.n_features, batch_size=settings.batch_size)
    job = Job(
        devices=tuple(devices),
        architecture=architecture,
        data=data.to("cpu"),
        settings=settings,
        plan=plan,
        checkpoint=checkpoint,
        layout=choose_layout(architecture, plan, workload, usable_memory_bytes(workload)),
        threads=max(1, torch.get_num_threads() // len(devices)),
    )
    with tempfile.TemporaryDirectory() as folder, Processes(job, Path(folder)) as processes:
        return processes.follow(on_epoch, on_step)

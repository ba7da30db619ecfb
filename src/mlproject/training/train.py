"""A training on one device: the one that the data lies on.

The model is built, its work cut to fit the memory that is free now, and the loop run. Several
devices that share a training are in `sharded.train`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.checkpoint import CheckpointFile, identity_of
from mlproject.training.graphed_step import CudaRecorder, GraphedStep, wants_graph
from mlproject.training.initial_model import build_model
from mlproject.training.layouts import choose_layout
from mlproject.training.loop import OnEpoch, OnStep, TrainingLoop, run_training
from mlproject.training.optimisers import make_optimiser
from mlproject.training.plan import FP32_ADAMW, OptimiserName, TrainingPlan
from mlproject.training.result import TrainingResult
from mlproject.training.settings import TrainingSettings
from mlproject.training.step import TrainingStep
from mlproject.training.system.allocator import never_keep_freed_tensors, trim
from mlproject.training.system.threads import BatchThreads
from mlproject.training.workload import Workload, usable_memory_bytes


def train(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    on_epoch: OnEpoch,
    *,
    plan: TrainingPlan = FP32_ADAMW,
    checkpoint: CheckpointFile | None = None,
    on_step: OnStep | None = None,
    memory_limit_bytes: int | None = None,
) -> TrainingResult:
    """The result of training one architecture on `data.train`, validated after each epoch.

    The loss is the binary cross-entropy; optimiser and precision are the plan's. A loss that is
    not a number or has exploded ends the training as diverged. A training that finds a checkpoint
    of its own goes on from it, and `on_epoch` hears of the earlier epochs again. The layout keeps
    to `memory_limit_bytes` of this process on the device.

    Raises:
        torch.OutOfMemoryError, RuntimeError: one window alone is too much.
    """
    with training_step(architecture, data, settings, plan, memory_limit_bytes) as step:
        identity = identity_of(architecture, settings, plan)
        return run_training(step, identity, on_epoch, checkpoint=checkpoint, on_step=on_step)


def train_final(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    *,
    epochs: int,
    on_epoch: Callable[[float], None],
    plan: TrainingPlan = FP32_ADAMW,
) -> PatchTST:
    """The network after `epochs` epochs on `data.train`; no other window is looked at.

    The learning rate runs as in a training of `settings.epochs`. `on_epoch` hears the
    training loss of each epoch.

    Raises:
        TrainingDiverged: the loss of an epoch was no number or had exploded.
    """
    with training_step(architecture, data, settings, plan) as step:
        TrainingLoop(step).run_unvalidated(epochs, on_epoch)
    return step.model


@contextmanager
def training_step(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    plan: TrainingPlan,
    memory_limit_bytes: int | None = None,
) -> Iterator[TrainingStep]:
    """A fresh model and its optimiser, in the layout that fits into the memory that is free now."""
    if plan.optimiser is OptimiserName.ADAFACTOR:
        never_keep_freed_tensors()
    trim()
    workload = Workload(
        device=data.features.device,
        n_features=data.n_features,
        batch_size=settings.batch_size,
        memory_limit_bytes=memory_limit_bytes,
    )
    layout = choose_layout(architecture, plan, workload, usable_memory_bytes(workload))
    with BatchThreads(layout.threads) as threads:
        model = build_model(architecture, data, settings, plan)
        make: Callable[..., TrainingStep] = TrainingStep
        if wants_graph(plan, workload.device):
            make = partial(GraphedStep, recorder=CudaRecorder(workload.device))
        yield make(
            model=model,
            optimiser=make_optimiser(plan, model, settings),
            data=data,
            settings=settings,
            threads=threads,
            layout=layout,
        )

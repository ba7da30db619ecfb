"""The training loop: one model, one data set, one result.

It knows no framework but torch. Whoever watches (a pruner, a tracker, a progress bar) is the
callback.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.checkpoint import CheckpointFile, identity_of
from mlproject.training.epoch_losses import EpochLosses, has_exploded
from mlproject.training.memory import Workload, choose_layout, usable_memory_bytes
from mlproject.training.optimisers import make_optimiser
from mlproject.training.plan import FP32_ADAMW, OptimiserName, TrainingPlan
from mlproject.training.scores import Scores, score
from mlproject.training.settings import TrainingSettings
from mlproject.training.step import Step, TrainingStep
from mlproject.training.system.allocator import never_keep_freed_tensors, trim
from mlproject.training.system.peak_memory import PeakMemory
from mlproject.training.system.threads import BatchThreads

_logger = logging.getLogger(__name__)


class TrainingDiverged(UserError):
    """The loss of a training that was to give a network exploded or is no number any more."""

    exit_code = 1


class Ending(StrEnum):
    """Why training ended."""

    ALL_EPOCHS = "all epochs"
    NO_IMPROVEMENT = "no improvement"
    STOPPED = "stopped by the callback"
    DIVERGED = "diverged"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What one training came to."""

    ending: Ending
    best_epoch: int | None
    """The epoch with the lowest validation loss; None when no epoch had a finite one."""
    best_val_loss: float | None
    best_scores: Scores | None
    """Validation scores at the best epoch."""
    epochs_run: int
    duration_seconds: float
    samples_per_second: float
    """Training windows per second of training, validation left out."""
    peak_memory_bytes: int


OnEpoch = Callable[[EpochLosses], bool]
"""Called after each epoch; training stops when it returns True."""

OnStep = Callable[[int, int], None]
"""Called after each step with how many of the epoch's steps are done, and how many there are."""


def prior_loss(labels: Tensor, base_rate: float) -> float:
    """The cross-entropy (nats) of predicting `base_rate` for every label."""
    probability = labels.new_full(labels.shape, base_rate)
    return functional.binary_cross_entropy(probability, labels).item()


def build_model(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    plan: TrainingPlan = FP32_ADAMW,
) -> PatchTST:
    """A model with fresh weights that predicts the training base rate for every window.

    Training so begins at the prior's loss, however deep the architecture.
    """
    torch.manual_seed(settings.seed)
    model = PatchTST.build(
        architecture,
        num_features=data.n_features,
        device=data.features.device,
        matrix_dtype=plan.precision.dtype,
    )
    predict_base_rate(model, data)
    return model


@torch.no_grad()
def predict_base_rate(model: PatchTST, data: WindowedData) -> None:
    """Make a fresh model predict the training base rate for every window."""
    model.head.weight.zero_()
    model.head.bias.fill_(math.log(data.base_rate / (1 - data.base_rate)))


def learning_rate_factor(step: int, *, warmup_steps: int, total_steps: int) -> float:
    """The factor on the learning rate at `step` (from 0): warm-up, then half a cosine to zero.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017),
    equation 5, without restarts. A warm-up longer than the training never leaves the ramp.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


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
    """Train one architecture on `data.train`, validate after each epoch on `data.validation`.

    Binary cross-entropy; optimiser and precision are the plan's. A loss that is not a number or
    has exploded ends the training as diverged. The data must lie on the device that is to train.
    A training that finds a checkpoint of its own goes on from it, and `on_epoch` hears of the
    earlier epochs again. The layout keeps to `memory_limit_bytes` of this process on the device.
    """
    with _training_step(architecture, data, settings, plan, memory_limit_bytes) as step:
        identity = identity_of(architecture, settings, plan)
        return train_with(step, identity, on_epoch, checkpoint=checkpoint, on_step=on_step)


def train_with(
    step: Step,
    identity: dict[str, Any],
    on_epoch: OnEpoch,
    *,
    checkpoint: CheckpointFile | None,
    on_step: OnStep | None,
) -> TrainingResult:
    """As `train`, with a model and an optimiser that are ready.

    Where several processes train together, each of them runs this.
    """
    with PeakMemory(step.data.features.device) as memory:
        training = _Training(
            data=step.data,
            settings=step.settings,
            step=step,
            checkpoint=checkpoint,
            on_step=on_step,
            identity=identity,
        )
        ending = training.run(on_epoch)
    progress = training.progress
    best = progress.best
    return TrainingResult(
        ending=ending,
        best_epoch=best.epoch or None,
        best_val_loss=best.val_loss if best.epoch else None,
        best_scores=best.scores,
        epochs_run=progress.epoch,
        duration_seconds=progress.seconds,
        samples_per_second=progress.windows / progress.training_seconds,
        peak_memory_bytes=memory.peak_bytes,
    )


def train_final(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    *,
    epochs: int,
    on_epoch: Callable[[float], None],
    plan: TrainingPlan = FP32_ADAMW,
) -> PatchTST:
    """Train on `data.train` for `epochs` and return the network; no other window is looked at.

    The learning rate runs as in a training of `settings.epochs`. `on_epoch` hears the
    training loss of each epoch.

    Raises:
        TrainingDiverged: the loss of an epoch was no number or had exploded.
    """
    with _training_step(architecture, data, settings, plan) as step:
        _Training(data=data, settings=settings, step=step).run_unvalidated(epochs, on_epoch)
    return step.model


@contextmanager
def _training_step(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    plan: TrainingPlan,
    memory_limit_bytes: int | None = None,
) -> Iterator[TrainingStep]:
    """A fresh model and its optimiser, in the layout that fits into the memory that is free now."""
    device = data.features.device
    if plan.optimiser is OptimiserName.ADAFACTOR:
        never_keep_freed_tensors()
    trim()
    workload = Workload(
        device=device,
        n_features=data.n_features,
        batch_size=settings.batch_size,
        memory_limit_bytes=memory_limit_bytes,
    )
    layout = choose_layout(architecture, plan, workload, usable_memory_bytes(workload))
    with BatchThreads(layout.threads) as threads:
        model = build_model(architecture, data, settings, plan)
        yield TrainingStep(
            model=model,
            optimiser=make_optimiser(plan, model, settings),
            data=data,
            settings=settings,
            threads=threads,
            layout=layout,
        )


@dataclass(frozen=True)
class _Best:
    epoch: int = 0
    val_loss: float = math.inf
    scores: Scores | None = None


@dataclass(kw_only=True)
class _Progress:
    """How far a training is. Everything random follows from the seed and this."""

    epoch: int = 0
    """The epoch at work, or the last one."""
    step: int = 0
    """Steps of it that are done."""
    loss_sum: float = 0.0
    """Over the windows of these steps."""
    losses: list[EpochLosses] = field(default_factory=list)
    best: _Best = _Best()
    windows: int = 0
    training_seconds: float = 0.0
    seconds: float = 0.0


class _Training:
    """One training at work."""

    def __init__(
        self,
        *,
        data: WindowedData,
        settings: TrainingSettings,
        step: Step,
        checkpoint: CheckpointFile | None = None,
        on_step: OnStep | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self._begun = self._saved = time.perf_counter()
        self._earlier_seconds = 0.0
        self._data = data
        self._settings = settings
        self._step = step
        self._checkpoint = checkpoint
        self._on_step = on_step
        self._identity = identity or {}
        steps = math.ceil(len(data.train) / settings.batch_size)
        self._steps_per_epoch = min(steps, settings.max_steps or steps)
        self.progress = _Progress()

    def run(self, on_epoch: OnEpoch) -> Ending:
        """Train until something ends it."""
        self._resume()
        progress, settings = self.progress, self._settings
        for losses in progress.losses:
            if on_epoch(losses):
                return Ending.STOPPED
        ending = Ending.ALL_EPOCHS
        while ending is Ending.ALL_EPOCHS and len(progress.losses) < settings.epochs:
            progress.epoch = len(progress.losses) + 1
            ending = self._run_epoch(on_epoch)
            progress.step, progress.loss_sum = 0, 0.0
            # What has ended is not saved as if it went on: resumed, it would.
            if ending is Ending.ALL_EPOCHS and self._save_is_due():
                self._save()
        progress.seconds = self._seconds()
        return ending

    def run_unvalidated(self, epochs: int, on_epoch: Callable[[float], None]) -> None:
        """Train for so many epochs, whatever comes of them."""
        progress = self.progress
        for progress.epoch in range(1, epochs + 1):
            train_loss = self._train_epoch()
            progress.step, progress.loss_sum = 0, 0.0
            if has_exploded(train_loss):
                raise TrainingDiverged(f"the training diverged in epoch {progress.epoch}")
            on_epoch(train_loss)

    def _run_epoch(self, on_epoch: OnEpoch) -> Ending:
        progress, settings, data = self.progress, self._settings, self._data
        train_loss = self._train_epoch()
        ends = data.validation
        if settings.max_steps:
            ends = ends[: settings.max_steps * settings.batch_size]
        logits = self._step.predict(ends)
        labels = data.labels[ends]
        val_loss = functional.binary_cross_entropy_with_logits(logits, labels).item()
        if has_exploded(train_loss) or has_exploded(val_loss):
            return Ending.DIVERGED
        if val_loss < progress.best.val_loss:
            progress.best = _Best(progress.epoch, val_loss, score(logits, labels))
        losses = EpochLosses(epoch=progress.epoch, train_loss=train_loss, val_loss=val_loss)
        progress.losses.append(losses)
        if on_epoch(losses):
            return Ending.STOPPED
        if progress.epoch - progress.best.epoch >= settings.patience_epochs:
            return Ending.NO_IMPROVEMENT
        return Ending.ALL_EPOCHS

    def _train_epoch(self) -> float:
        """The rest of the epoch's steps; the mean loss over all of them."""
        progress, batch_size = self.progress, self._settings.batch_size
        batches = self._shuffled().split(batch_size)[: self._steps_per_epoch]
        loss_sum = torch.tensor(progress.loss_sum, device=self._data.features.device)
        for ends in batches[progress.step :]:
            begun = time.perf_counter()
            loss_sum += self._run_step(ends) * len(ends)
            progress.step += 1
            progress.windows += len(ends)
            progress.training_seconds += time.perf_counter() - begun
            if self._on_step is not None:
                self._on_step(progress.step, self._steps_per_epoch)
            if self._save_is_due():
                progress.loss_sum = loss_sum.item()
                self._save()
        return loss_sum.item() / sum(map(len, batches))

    def _shuffled(self) -> Tensor:
        """The training windows in the order of this epoch."""
        order = np.random.default_rng((self._settings.seed, self.progress.epoch))
        places = torch.from_numpy(order.permutation(len(self._data.train)))
        return self._data.train[places.to(self._data.train.device)]

    def _run_step(self, ends: Tensor) -> Tensor:
        settings = self._settings
        step = (self.progress.epoch - 1) * self._steps_per_epoch + self.progress.step
        factor = learning_rate_factor(
            step,
            warmup_steps=settings.warmup_steps,
            total_steps=settings.epochs * self._steps_per_epoch,
        )
        return self._step.run(ends, step, settings.learning_rate * factor)

    def _resume(self) -> None:
        if self._checkpoint is None:
            return
        progress = self._step.load(self._checkpoint, self._identity)
        if progress is None:
            return
        scores = progress["best"]["scores"]
        self.progress = _Progress(
            **progress
            | {
                "best": _Best(**progress["best"] | {"scores": scores and Scores(**scores)}),
                "losses": [EpochLosses(**losses) for losses in progress["losses"]],
            }
        )
        self._earlier_seconds = self.progress.seconds

    def _seconds(self) -> float:
        """What the training has taken, what was done before a kill included."""
        return self._earlier_seconds + time.perf_counter() - self._begun

    def _save_is_due(self) -> bool:
        return self._checkpoint is not None and self._step.agree(
            time.perf_counter() - self._saved >= self._checkpoint.save_every_seconds
        )

    def _save(self) -> None:
        """Save the state. A disk that is full costs the checkpoint, not the training."""
        assert self._checkpoint is not None
        self.progress.seconds = self._seconds()
        try:
            self._step.save(self._checkpoint, self._identity, asdict(self.progress))
        except (OSError, RuntimeError) as error:
            _logger.warning("the checkpoint could not be saved: %s", str(error).splitlines()[0])
        self._saved = time.perf_counter()

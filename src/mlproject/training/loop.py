"""The training loop: one model, one data set, one result.

It knows no framework but torch. Whoever watches (a pruner, a tracker, a progress bar) is the
callback.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.epoch_losses import EpochLosses
from mlproject.training.peak_memory import PeakMemory
from mlproject.training.scores import Scores, score
from mlproject.training.settings import TrainingSettings

EVALUATION_BATCH = 1024


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


def prior_loss(labels: Tensor, base_rate: float) -> float:
    """The cross-entropy (nats) of predicting `base_rate` for every label."""
    probability = labels.new_full(labels.shape, base_rate)
    return functional.binary_cross_entropy(probability, labels).item()


def build_model(
    architecture: Architecture, data: WindowedData, settings: TrainingSettings, device: torch.device
) -> PatchTST:
    """A model with fresh weights that predicts the training base rate for every window.

    Training so begins at the prior's loss, however deep the architecture.
    """
    torch.manual_seed(settings.seed)
    with device:
        model = PatchTST(architecture, num_features=data.n_features, dropout=settings.dropout)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.fill_(math.log(data.base_rate / (1 - data.base_rate)))
    return model


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
    architecture: Architecture, data: WindowedData, settings: TrainingSettings, on_epoch: OnEpoch
) -> TrainingResult:
    """Train one architecture on `data.train`, validate after each epoch on `data.validation`.

    AdamW on the binary cross-entropy, gradients clipped by their norm. A loss that is not finite
    ends the training as diverged. The data must lie on the device that is to train.
    """
    device = data.features.device
    started = time.perf_counter()
    training_seconds = 0.0
    best = _Best()
    epoch = 0
    ending = Ending.ALL_EPOCHS
    with PeakMemory(device) as memory:
        model = build_model(architecture, data, settings, device)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        total_steps = settings.epochs * math.ceil(len(data.train) / settings.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: learning_rate_factor(
                step, warmup_steps=settings.warmup_steps, total_steps=total_steps
            ),
        )
        for epoch in range(1, settings.epochs + 1):
            epoch_started = time.perf_counter()
            train_loss = _train_epoch(model, data, settings, optimiser, schedule)
            training_seconds += time.perf_counter() - epoch_started
            logits = predict(model, data, data.validation)
            labels = data.labels[data.validation]
            val_loss = functional.binary_cross_entropy_with_logits(logits, labels).item()
            if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
                ending = Ending.DIVERGED
                break
            if val_loss < best.val_loss:
                best = _Best(epoch, val_loss, score(logits, labels))
            if on_epoch(EpochLosses(epoch=epoch, train_loss=train_loss, val_loss=val_loss)):
                ending = Ending.STOPPED
                break
            if epoch - best.epoch >= settings.patience_epochs:
                ending = Ending.NO_IMPROVEMENT
                break
    return TrainingResult(
        ending=ending,
        best_epoch=best.epoch or None,
        best_val_loss=best.val_loss if best.epoch else None,
        best_scores=best.scores,
        epochs_run=epoch,
        duration_seconds=time.perf_counter() - started,
        samples_per_second=epoch * len(data.train) / training_seconds,
        peak_memory_bytes=memory.peak_bytes,
    )


@dataclass(frozen=True)
class _Best:
    epoch: int = 0
    val_loss: float = math.inf
    scores: Scores | None = None


def _train_epoch(
    model: nn.Module,
    data: WindowedData,
    settings: TrainingSettings,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One pass over the training windows; the mean loss, nan or inf as soon as it is one."""
    model.train()
    total = torch.zeros((), device=data.features.device)
    for ends in _shuffled_batches(data.train, settings.batch_size):
        windows, labels = data.gather(ends)
        loss = functional.binary_cross_entropy_with_logits(model(windows), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip_norm)
        optimiser.step()
        schedule.step()
        total += loss.detach() * len(ends)
    return total.item() / len(data.train)


def _shuffled_batches(ends: Tensor, batch_size: int) -> Iterator[Tensor]:
    order = torch.randperm(len(ends), device=ends.device)
    yield from ends[order].split(batch_size)


@torch.no_grad()
def predict(model: nn.Module, data: WindowedData, ends: Tensor) -> Tensor:
    """The logits (len(ends),) of the windows that end at the rows `ends`."""
    model.eval()
    return torch.cat([model(data.gather(batch)[0]) for batch in ends.split(EVALUATION_BATCH)])

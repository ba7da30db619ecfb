"""The result of one training: why it stopped, its best epoch, and what it took."""

from dataclasses import dataclass
from enum import StrEnum

from mlproject.training.market_losses import Losses
from mlproject.training.scores import Scores


class StopReason(StrEnum):
    """Why a training stopped."""

    ALL_EPOCHS = "all epochs"
    NO_IMPROVEMENT = "no improvement"
    STOPPED = "stopped by the callback"
    DIVERGED = "diverged"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What one training came to."""

    stop_reason: StopReason
    best_epoch: int | None
    """The epoch (from 1) with the lowest validation loss; None when no epoch had a finite one."""
    best_val_loss: float | None
    """Nats; the validation loss at the best epoch."""
    best_scores: Scores | None
    """Validation scores at the best epoch."""
    epochs_run: int
    duration_seconds: float
    """What was done before a kill included."""
    samples_per_second: float
    """Training windows per second of training, validation left out."""
    peak_memory_bytes: int
    market_losses: Losses = ()
    """Validation losses of each market at the best epoch; empty where the data has one market."""
    best_logits: tuple[float, ...] = ()
    """Of the validation windows at the best epoch, in float32; empty where they are not known: an
    earlier version saved the checkpoint of that epoch."""

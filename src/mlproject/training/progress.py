"""The progress of a training at work, as its checkpoints keep it.

Everything random follows from the seed and this, so that a training can go on after a kill.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.market_losses import Losses
from mlproject.training.scores import Scores


@dataclass(frozen=True)
class BestEpoch:
    """The epoch with the lowest validation loss so far; epoch 0 is none."""

    epoch: int = 0
    val_loss: float = math.inf
    scores: Scores | None = None
    market_losses: Losses = ()
    """Empty where the data has one market."""
    logits: tuple[float, ...] = ()
    """Of the validation windows; empty where an earlier version saved the checkpoint."""


@dataclass(kw_only=True)
class Progress:
    """How far a training is."""

    epoch: int = 0
    """The epoch at work (from 1), or the last one."""
    step: int = 0
    """Steps of this epoch that are done."""
    loss_sum: float = 0.0
    """Nats, summed over the windows of these steps."""
    losses: list[EpochMetrics] = field(default_factory=list)
    """Of the epochs that are done."""
    best: BestEpoch = BestEpoch()
    windows: int = 0
    """Training windows taken in all epochs, each as often as it was taken."""
    training_seconds: float = 0.0
    """Spent in training steps alone."""
    seconds: float = 0.0
    """Spent in all, what was done before a kill included."""

    def as_dict(self) -> dict[str, Any]:
        """The progress in plain types, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Progress":
        """The inverse of `as_dict`."""
        best, scores = saved["best"], saved["best"]["scores"]
        return cls(
            **{
                **saved,
                "best": BestEpoch(**{**best, "scores": Scores(**scores) if scores else None}),
                "losses": [EpochMetrics(**losses) for losses in saved["losses"]],
            }
        )

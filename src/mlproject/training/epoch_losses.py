"""The losses of one epoch, as the training loop reports them and everything else passes on."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EpochLosses:
    """The losses of one epoch (counted from 1): cross-entropy in nats, the mean over windows."""

    epoch: int
    train_loss: float
    val_loss: float

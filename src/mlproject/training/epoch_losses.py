"""The losses of one epoch, as the training loop reports them and everything else passes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EXPLODED_LOSS = 10.0
"""Nats: as bad as being certain of the wrong class (e⁻¹⁰) for every window. The old program wrote
100 for a loss that was not finite."""


@dataclass(frozen=True, kw_only=True)
class EpochLosses:
    """The losses of one epoch (counted from 1): cross-entropy in nats, the mean over windows."""

    epoch: int
    train_loss: float | None
    """None where a process was killed before it kept its training losses."""
    val_loss: float


def has_exploded(loss: float) -> bool:
    """Whether a training with this loss has diverged: no number is one that has, too."""
    return not loss <= EXPLODED_LOSS


def pair_losses(
    train_losses: Sequence[float | None], val_losses: Mapping[int, float]
) -> tuple[EpochLosses, ...]:
    """The epochs of a trial: training losses in order, validation losses by epoch."""
    known = dict(enumerate(train_losses, 1))
    return tuple(
        EpochLosses(epoch=epoch, train_loss=known.get(epoch), val_loss=val_loss)
        for epoch, val_loss in sorted(val_losses.items())
    )

"""The metrics of one epoch, as the training loop reports them and everything else passes on.

What a training is worth in the end is in `mlproject.training.result`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

EXPLODED_LOSS = 10.0
"""Nats: as bad as being certain of the wrong class (e⁻¹⁰) for every window. The old program wrote
100 for a loss that was not finite."""

_KEPT_AS = "kept_as"


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """The metrics of one epoch (counted from 1). Losses are cross-entropy in nats, the mean over
    windows.

    Optuna's storage keeps the validation losses as the intermediate values of a trial, which its
    pruner sees, and each other metric as a list in the user attribute that its field names. A
    metric that earlier studies did not have is None there.
    """

    epoch: int
    train_loss: float | None = field(metadata={_KEPT_AS: "train_losses"})
    """None where a process was killed before it kept its training losses."""
    val_loss: float
    val_block_losses: tuple[float, ...] | None = field(
        default=None, metadata={_KEPT_AS: "val_block_losses"}
    )
    """The same for each block of days of the validation span (`mlproject.data.date_blocks`), to six
    decimals: what says how far `val_loss` is to be trusted. None in studies that began before."""


CURVES = ("train_loss", "val_loss")
"""The metrics that are a curve in MLflow."""


def has_exploded(loss: float) -> bool:
    """Whether a training with this loss has diverged: no number is one that has, too."""
    return not loss <= EXPLODED_LOSS


def kept_values(epochs: Sequence[EpochMetrics]) -> dict[str, list[Any]]:
    """All metrics but the validation losses, by user attribute: one value for each epoch so far."""
    return {attr: [getattr(epoch, name) for epoch in epochs] for name, attr in _ATTRIBUTES.items()}


def restore_epochs(
    user_attrs: Mapping[str, Any], val_losses: Mapping[int, float]
) -> tuple[EpochMetrics, ...]:
    """The epochs of a trial from what Optuna's storage keeps: the inverse of `kept_values`."""
    epochs = []
    for epoch, val_loss in sorted(val_losses.items()):
        kept: dict[str, Any] = {
            name: _at(user_attrs.get(attr), epoch) for name, attr in _ATTRIBUTES.items()
        }
        epochs.append(EpochMetrics(epoch=epoch, val_loss=val_loss, **kept))
    return tuple(epochs)


_ATTRIBUTES = {f.name: f.metadata[_KEPT_AS] for f in fields(EpochMetrics) if f.metadata}


def _at(values: Any, epoch: int) -> float | tuple[float, ...] | None:
    """The value of an epoch; None where anybody wrote something else there."""
    known = isinstance(values, list) and 1 <= epoch <= len(values)
    value = values[epoch - 1] if known else None
    if isinstance(value, list) and value and all(isinstance(each, float) for each in value):
        return tuple(value)
    return value if isinstance(value, float) else None

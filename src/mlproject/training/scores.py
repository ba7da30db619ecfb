"""The scores of predicted logits, and the loss that every prediction is measured against."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of binary predictions, 0 to 1; None where one class alone makes one meaningless."""

    auc: float | None
    average_precision: float | None
    accuracy: float
    """Share of labels matched at a probability of one half."""


def score(logits: Tensor, labels: Tensor) -> Scores:
    """The scores of logits (windows,) against labels (windows,) of 0 and 1."""
    values = logits.float().cpu().numpy()
    truth = labels.cpu().numpy()
    both_classes = bool(truth.min() < truth.max())
    return Scores(
        auc=float(roc_auc_score(truth, values)) if both_classes else None,
        average_precision=float(average_precision_score(truth, values)) if both_classes else None,
        accuracy=float(((values > 0) == (truth > 0.5)).mean()),
    )


def block_losses(
    logits: Tensor, labels: Tensor, blocks: npt.NDArray[np.int64]
) -> tuple[float, ...]:
    """The mean cross-entropy (nats, six decimals) of each block; `blocks` (windows,) count from 0.

    Every block has a window.
    """
    losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    weights = losses.cpu().double().numpy()
    means = np.bincount(blocks, weights=weights) / np.bincount(blocks)
    return tuple(float(f"{mean:.6f}") for mean in means)


def prior_loss(labels: Tensor, base_rate: float) -> float:
    """The cross-entropy (nats) of predicting `base_rate` for every label (windows,)."""
    probability = labels.new_full(labels.shape, base_rate)
    return functional.binary_cross_entropy(probability, labels).item()

"""How good predicted logits are, beyond their loss."""

from dataclasses import dataclass

from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of binary predictions; None where one class alone makes a score meaningless."""

    auc: float | None
    average_precision: float | None
    accuracy: float
    """Share of labels matched at a probability of one half."""


def score(logits: Tensor, labels: Tensor) -> Scores:
    """Scores of logits (n,) against labels (n,) of 0 and 1."""
    values = logits.float().cpu().numpy()
    truth = labels.cpu().numpy()
    both_classes = bool(truth.min() < truth.max())
    return Scores(
        auc=float(roc_auc_score(truth, values)) if both_classes else None,
        average_precision=float(average_precision_score(truth, values)) if both_classes else None,
        accuracy=float(((values > 0) == (truth > 0.5)).mean()),
    )

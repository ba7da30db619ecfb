"""Scores of probabilities, and how sure it is that some are better than others."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from mlproject.tracking.names import TestMetric

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 10_000
_SMALLEST = 1e-12
"""A probability of 0 that turns out wrong costs 28 nats, not infinitely many."""


def log_losses(probabilities: Floats, labels: Floats) -> Floats:
    """The cross-entropy of each prediction, nats."""
    kept = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    losses: Floats = -np.where(labels > 0.5, np.log(kept), np.log1p(-kept))
    return losses


def score_probabilities(probabilities: Floats, labels: Floats) -> dict[TestMetric, float]:
    """Every test metric of probabilities (n,) against labels (n,) of 0 and 1.

    The Brier score is the mean squared error of the probability; accuracy is at one half. AUC and
    average precision are left out where all labels are the same.
    """
    scores = {
        TestMetric.LOSS: float(log_losses(probabilities, labels).mean()),
        TestMetric.BRIER: float(((probabilities - labels) ** 2).mean()),
        TestMetric.ACCURACY: float(((probabilities > 0.5) == (labels > 0.5)).mean()),
    }
    if labels.min() < labels.max():
        scores[TestMetric.AUC] = float(roc_auc_score(labels, probabilities))
        scores[TestMetric.AVERAGE_PRECISION] = float(average_precision_score(labels, probabilities))
    return scores


@dataclass(frozen=True, kw_only=True)
class LossDifference:
    """One mean loss minus another (below zero: the first is better), with its interval."""

    mean: float
    """Nats per window."""
    low: float
    """The interval holds `CONFIDENCE` of what test spans made of the same blocks would give."""
    high: float
    blocks: float
    """How many blocks the test span is long: with few, the interval is itself a guess."""


def paired_block_bootstrap(
    differences: Floats, *, block_days: int, resamples: int = RESAMPLES, seed: int = 0
) -> LossDifference:
    """The mean of paired loss differences (days,) in time order, with its interval.

    Neighbouring windows share most of their days and their outcomes, so whole blocks are drawn,
    from a circle so that every day is drawn as often (Politis and Romano, "A Circular
    Block-Resampling Procedure for Stationary Data", 1992); percentile interval. A block longer
    than half of the span is cut to that.
    """
    days = len(differences)
    block = max(1, min(block_days, days // 2))
    per_resample = -(-days // block)
    around = np.concatenate([differences, differences[: block - 1]])
    sums = np.convolve(around, np.ones(block), mode="valid")
    starts = np.random.default_rng(seed).integers(0, days, size=(resamples, per_resample))
    means = sums[starts].sum(axis=1) / (per_resample * block)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return LossDifference(
        mean=float(differences.mean()), low=float(low), high=float(high), blocks=days / block
    )

"""Scores of probabilities."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from mlproject.analysis.claims.log_losses import log_losses
from mlproject.tracking.names import TestMetric

Floats = npt.NDArray[np.float64]


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

"""Scores of probabilities."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
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


def auc_influences(probabilities: Floats, labels: Floats) -> Floats:
    """How much each prediction (n,) moves the AUC; their mean is the AUC itself.

    The structural components of DeLong, DeLong and Clarke-Pearson (Comparing the Areas under Two or
    More Correlated Receiver Operating Characteristic Curves, Biometrics 44, 1988), as one series,
    so that days which go together can be taken together. Both labels have to occur.
    """
    rises = labels > 0.5
    ranks = rankdata(probabilities)
    above = np.empty_like(ranks)
    above[rises] = (ranks[rises] - rankdata(probabilities[rises])) / (~rises).sum()
    above[~rises] = 1 - (ranks[~rises] - rankdata(probabilities[~rises])) / rises.sum()
    auc = above[rises].mean()
    weights = np.where(rises, rises.mean(), 1 - rises.mean())
    return np.asarray(auc + (above - auc) / weights, dtype=np.float64)

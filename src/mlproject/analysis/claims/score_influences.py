"""How much each prediction moves a score: what gives a score over days that go together an
interval.

The influences of a score are a series over the predictions whose mean is the score itself, so that
what is known of means over days (`day_means`) holds for it.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]


def auc_influences(predictions: Floats, labels: Floats) -> Floats:
    """Those of the AUC of predictions (n,), probabilities or logits; both labels have to occur.

    The structural components of DeLong, DeLong and Clarke-Pearson (Comparing the Areas under Two or
    More Correlated Receiver Operating Characteristic Curves, Biometrics 44, 1988), as one series.
    """
    rises = labels > 0.5
    ranks = rankdata(predictions)
    above = np.empty_like(ranks)
    above[rises] = (ranks[rises] - rankdata(predictions[rises])) / (~rises).sum()
    above[~rises] = 1 - (ranks[~rises] - rankdata(predictions[~rises])) / rises.sum()
    auc = above[rises].mean()
    weights = np.where(rises, rises.mean(), 1 - rises.mean())
    return np.asarray(auc + (above - auc) / weights, dtype=np.float64)


def average_precision_influences(predictions: Floats, labels: Floats) -> Floats:
    """Those of the average precision; a rise has to occur.

    Its derivative by the weight of each prediction (the infinitesimal jackknife: Efron, The
    Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 6).
    """
    order = np.argsort(-predictions, kind="stable")
    said, rises = predictions[order], (labels[order] > 0.5).astype(np.float64)
    # Predictions of the same value are called together, so they are counted together.
    last = np.append(np.flatnonzero(np.diff(said)), len(said) - 1)
    group = np.searchsorted(last, np.arange(len(said)))
    found, called = np.cumsum(rises)[last], last + 1.0
    of_group = np.bincount(group, weights=rises)
    precision = found / called
    score = float(of_group @ precision / rises.sum())

    def from_here_on(values: Floats) -> Floats:
        """Of all groups that are called no earlier."""
        return np.asarray(np.cumsum(values[::-1])[::-1][group], dtype=np.float64)

    moved = rises * from_here_on(of_group / called) - from_here_on(of_group * precision / called)
    derivative = (rises * (precision[group] - score) + moved) / rises.sum()
    influences = np.empty(len(said))
    influences[order] = score + len(said) * derivative
    return influences

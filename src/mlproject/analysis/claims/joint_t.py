"""The factor by which intervals are widened so that all of them hold at once."""

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

_POINTS = 12
"""Of the power of two that is the number of points."""

Floats = npt.NDArray[np.float64]


def joint_critical_value(covariance: Floats, degrees: float, confidence: float) -> float:
    """Give the quantile of the largest |t| of estimates with this covariance.

    They share their degrees of freedom, as in the multivariate t distribution (Hothorn, Bretz and
    Westfall, Simultaneous Inference in General Parametric Models, Biometrical Journal 50, 2008).
    The normal part is integrated over Sobol points, always the same, the other exactly. One
    estimate has Student's own quantile.
    """
    alone = float(stats.t.ppf((1 + confidence) / 2, degrees))
    errors = np.sqrt(np.diag(covariance))
    known = errors > 0
    count = int(known.sum())
    if count < 2:
        return alone
    correlation = covariance[np.ix_(known, known)] / np.outer(errors[known], errors[known])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    points = stats.qmc.Sobol(count, seed=0).random_base2(_POINTS)
    largest = np.abs(special.ndtri(np.clip(points, 1e-12, 1 - 1e-12)) @ root.T).max(axis=1)

    def missed(critical: float) -> float:
        """How often some |t| is beyond it, less what is allowed."""
        beyond = special.gammainc(degrees / 2, degrees * (largest / critical) ** 2 / 2)
        return float(beyond.mean()) - (1 - confidence)

    # No more than Bonferroni's, which covers whatever the correlation.
    most = float(stats.t.isf((1 - confidence) / (2 * count), degrees))
    if missed(most) > 0 or missed(alone) < 0:
        return most if missed(most) > 0 else alone
    return float(optimize.brentq(missed, alone, most))

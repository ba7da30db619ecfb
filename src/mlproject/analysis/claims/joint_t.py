"""The factor by which intervals are widened so that all of them hold at once."""

import numpy as np
import numpy.typing as npt
from scipy import stats

_DRAWS = 20_000

Floats = npt.NDArray[np.float64]


def joint_critical_value(covariance: Floats, degrees: float, confidence: float) -> float:
    """Give the quantile of the largest |t| of estimates with this covariance.

    They share their degrees of freedom, as in the multivariate t distribution (Hothorn, Bretz and
    Westfall, Simultaneous Inference in General Parametric Models, Biometrical Journal 50, 2008).
    The quantile is drawn, always with the same random numbers. One estimate has Student's own.
    """
    errors = np.sqrt(np.diag(covariance))
    known = errors > 0
    if known.sum() < 2:
        return float(stats.t.ppf((1 + confidence) / 2, degrees))
    correlation = covariance[np.ix_(known, known)] / np.outer(errors[known], errors[known])
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    generator = np.random.default_rng(0)
    normal = np.abs(generator.standard_normal((_DRAWS, len(values))) @ root.T).max(axis=1)
    scale = np.sqrt(stats.chi2.ppf(generator.random(_DRAWS), degrees) / degrees)
    return float(np.quantile(normal / scale, confidence))

"""What a prediction costs: the one measure of all claims."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SMALLEST = 1e-12
"""A probability of 0 that turns out wrong costs 28 nats, not infinitely many."""


def log_losses(probabilities: Floats, labels: Floats) -> Floats:
    """The cross-entropy of each prediction, nats."""
    kept = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    losses: Floats = -np.where(labels > 0.5, np.log(kept), np.log1p(-kept))
    return losses

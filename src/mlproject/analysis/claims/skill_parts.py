"""Where skill comes from: from expecting the right share of rises, or from telling days apart.

Rises are rarer in some years than in others. A network that merely expects fewer of them than the
training years had has a lower loss than the prior, and tells no day from another. So its logits are
shifted by one number until they expect as many rises as there were: what is left of its lead over
whoever knows that share, and nothing else, is discrimination (Murphy, A New Vector Partition of the
Probability Score, Journal of Applied Meteorology 12, 1973; recalibration by the intercept: Cox, Two
Further Applications of a Model for Binary Regression, Biometrika 45, 1958). The rest is the base
rate's. A freer recalibration, such as isotonic regression (Dimitriadis, Gneiting and Jordan, Stable
Reliability Diagrams for Probabilistic Classifiers, PNAS 118, 2021), finds discrimination in noise.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import expit

from mlproject.analysis.claims.log_losses import log_losses

Floats = npt.NDArray[np.float64]


def discrimination(logits: Floats, labels: Floats) -> Floats | None:
    """The loss (n,), nats, of knowing the share of rises alone less that of the shifted logits.

    None where all labels are the same: there is no share to know.
    """
    rate = float(labels.mean())
    if rate in (0.0, 1.0):
        return None
    furthest = 40 + float(np.abs(logits).max())
    shift = brentq(lambda by: float(expit(logits + by).mean()) - rate, -furthest, furthest)
    return log_losses(np.full(len(labels), rate), labels) - log_losses(
        expit(logits + shift), labels
    )

"""The fence of a box plot: how losses far above the others are kept from deciding anything."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def fenced(losses: Floats) -> Floats:
    """Bring losses above the upper fence down to it (Tukey, Exploratory Data Analysis, 1977)."""
    lower, upper = np.quantile(losses, [0.25, 0.75])
    return np.minimum(losses, upper + 1.5 * (upper - lower))

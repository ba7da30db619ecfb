"""The baselines by name, and what one is once it is fitted.

What they see and how they are fitted is in `of_days` and `of_windows`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData

Floats = npt.NDArray[np.float64]

PRIOR = "prior"
VOLATILITY = "volatility"
LAGGED_RETURNS = "lagged_returns"
LOGISTIC_REGRESSION = "logistic_regression"
GRADIENT_BOOSTING = "gradient_boosting"

LAGS = 20

TITLES = {
    PRIOR: "prior",
    VOLATILITY: "logistic regression on two log volatilities",
    LAGGED_RETURNS: f"logistic regression on {LAGS} lagged returns",
    LOGISTIC_REGRESSION: "logistic regression on windows",
    GRADIENT_BOOSTING: "gradient boosting on windows",
}
"""All that there are, in the order in which they are shown. A study has those that take seconds:
the first three."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """A baseline that is fitted and can predict."""

    name: str
    settings: str
    """What was chosen, in words; empty where nothing was."""
    predict: Callable[[Markets, WindowedData, torch.Tensor], Floats]
    """The probability of a rise (windows,) in the windows of the data that end at these rows. The
    markets are those of the data; no day after a window's last is looked at."""


def prior(rate: float, settings: str = "") -> Baseline:
    """The baseline that says the same of every day."""
    return Baseline(
        name=PRIOR,
        settings=settings,
        predict=lambda _markets, _data, ends: np.full(len(ends), rate),
    )

"""How the trials of a study of several markets did in each of them: a table from Optuna's storage.

No run holds these figures: a thousand markets would be a thousand metrics of every trial.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from mlproject.data.windows import WindowedData
from mlproject.text.escaping import for_spreadsheet
from mlproject.tracking.names import MARKET_LOSSES_ATTR, Tag
from mlproject.training.market_losses import market_prior_losses, window_counts

MOST_ROWS = 1_000_000
"""Of the table; of more the trials with the lowest losses are in it. The storage has them all."""


def market_validation(trials: Iterable[FrozenTrial], data: WindowedData) -> pd.DataFrame:
    """A row per trial and market: windows, validation loss at the trial's best epoch, the loss of
    the market's own prior, and the skill against it.

    Trials that did not come to an end, or diverged, have no rows; nor have markets without a
    validation window.
    """
    windows, prior = window_counts(data, data.validation), _floats(market_prior_losses(data))
    losses = {
        trial.number: _floats(found)
        for trial in trials
        if isinstance(found := trial.user_attrs.get(MARKET_LOSSES_ATTR), list)
        and len(found) == len(data.markets)
    }
    at = np.flatnonzero(windows)
    most = max(1, MOST_ROWS // len(at))
    shown = sorted(sorted(losses, key=lambda number: losses[number] @ windows)[:most])
    table = pd.DataFrame(
        {
            Tag.TRIAL_NUMBER.value: np.repeat(np.array(shown, np.int64), len(at)),
            "market": np.tile(np.array(data.markets, object)[at], len(shown)),
            "windows": np.tile(windows[at], len(shown)),
            "val_loss": [loss for number in shown for loss in losses[number][at]],
            "prior_loss": np.tile(prior[at], len(shown)),
        }
    )
    table["skill"] = 1 - table["val_loss"] / table["prior_loss"]
    return for_spreadsheet(table)


def _floats(losses: Iterable[float | None]) -> np.ndarray:
    """The losses (markets,), 0 where there is none."""
    return np.array([loss or 0.0 for loss in losses])

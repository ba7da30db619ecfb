"""From bars to the probability of a rise on each day that has enough history."""

import numpy as np
import pandas as pd
import torch

from mlproject.data.features import WARM_UP_ROWS, compute_features
from mlproject.data.windows import gather_windows, scale
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.serving.model_folder import TrainedModel
from mlproject.serving.new_bars import read_new_bars

DATE = "date"
PROBABILITY = "probability"
_BATCH = 256


def forecast(model: TrainedModel, bars: pd.DataFrame) -> pd.DataFrame:
    """A row per day: `date` (ISO text) and `probability` that the price rises by the threshold.

    The price is the model's `label_price`, and it may do so on any of the `horizon_days` after
    that day's close. Days without enough history before them have no row.

    Raises:
        UserError: the bars cannot be used (see `read_new_bars`).
    """
    frame = read_new_bars(bars)
    features = compute_features(frame)[list(model.feature_names)].to_numpy(np.float64)
    scaled = torch.from_numpy(scale(features, model.scaling_mean, model.scaling_std))
    ends = torch.arange(WARM_UP_ROWS + WINDOW_DAYS - 1, len(frame))
    with torch.no_grad():
        logits = torch.cat(
            [model.network(gather_windows(scaled, part)) for part in ends.split(_BATCH)]
        )
    return pd.DataFrame(
        {
            DATE: frame["date"].dt.strftime("%Y-%m-%d").to_numpy()[ends.numpy()],
            PROBABILITY: torch.sigmoid(logits.double()).numpy(),
        }
    )

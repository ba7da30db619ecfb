"""From bars to the probability of a rise on each day that has enough history."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from mlproject.data.features import WARM_UP_ROWS, compute_features
from mlproject.data.windows import gather_windows, scale
from mlproject.errors import UserError
from mlproject.models.arch_grid import WINDOW_DAYS
from mlproject.serving.model_folder import TrainedModel
from mlproject.serving.new_bars import NO_VOLUME, read_new_bars, tables_by_market

SYMBOL = "symbol"
DATE = "date"
PROBABILITY = "probability"
_BATCH = 256
_SHOWN = 5
_LETTERS_SHOWN = 40


class UnknownMarket(UserError):
    """The bars are of a market that the model was not trained on, or do not say of which one."""


def forecast(model: TrainedModel, bars: pd.DataFrame) -> pd.DataFrame:
    """A row per market and day: `symbol` (where the bars name their markets), `date` (ISO text) and
    `probability` that the price rises by the threshold.

    The price is the model's `label_price`, and it may do so on any of the `horizon_days` after
    that day's close. Days without enough history before them have no row.

    A column such as `symbol` names the market of each row. A model of one market needs none, and
    takes the bars of any one market for those of its own.

    Raises:
        UserError: the bars cannot be used (see `read_new_bars`), or are of a market that the model
            does not know.
    """
    columns = NO_VOLUME if model.needs_no_volume else {}
    tables = tables_by_market(bars, columns)
    positions = _positions(model, list(tables))
    answers = [
        _forecast_market(model, position, read_new_bars(table, market, columns), market)
        for position, (market, table) in zip(positions, tables.items(), strict=True)
    ]
    return pd.concat(answers, ignore_index=True)


def _positions(model: TrainedModel, markets: Sequence[str]) -> list[int]:
    """The markets of the bars, as positions in `model.markets`."""
    if len(model.markets) == 1:
        if len(markets) > 1:
            raise UnknownMarket(
                f"the bars: they are of {len(markets):,} markets ({_shown(markets)}), and the "
                "model was trained on one; ask it about one at a time"
            )
        return [0]
    at = {market: position for position, market in enumerate(model.markets)}
    known = f"it was trained on {len(at):,} markets, such as {_shown(model.markets)}"
    if "" in markets:
        raise UnknownMarket(
            f"the bars: the model has to know which market they are of: {known}; name it in a "
            f"column {SYMBOL} in each row"
        )
    unknown = [market for market in markets if market not in at]
    if unknown:
        raise UnknownMarket(f"the bars: the model does not know {_shown(unknown)}: {known}")
    return [at[market] for market in markets]


def _shown(markets: Sequence[str]) -> str:
    shown = (market[:_LETTERS_SHOWN] for market in markets[:_SHOWN])
    return ", ".join(shown) + ", …" * (len(markets) > _SHOWN)


def _forecast_market(
    model: TrainedModel, position: int, bars: pd.DataFrame, market: str
) -> pd.DataFrame:
    features = compute_features(bars)[list(model.feature_names)].to_numpy(np.float64)
    scaled = torch.from_numpy(
        scale(features, model.scaling_mean[position], model.scaling_std[position])
    )
    ends = torch.arange(WARM_UP_ROWS + WINDOW_DAYS - 1, len(bars))
    with torch.no_grad():
        logits = torch.cat(
            [model.network(gather_windows(scaled, part)) for part in ends.split(_BATCH)]
        )
    return pd.DataFrame(
        {
            **({SYMBOL: market} if market else {}),
            DATE: bars["date"].dt.strftime("%Y-%m-%d").to_numpy()[ends.numpy()],
            PROBABILITY: torch.sigmoid(logits.double()).numpy(),
        }
    )

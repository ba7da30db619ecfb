"""Baselines that see a few numbers of a day, each a logistic regression on them.

They are fitted in seconds, so that a study is held against them from its first trial on. What is
learnt of a rise within days is, on most markets, mostly how large moves are at present; two numbers
tell that too.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlproject.analysis.baselines.baseline import LAGGED_RETURNS, LAGS, VOLATILITY, Baseline
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData

Floats = npt.NDArray[np.float64]
Inputs = Callable[[pd.DataFrame], Floats]
"""From a market's bars to (rows, numbers); no row depends on a later one, and all from the first
end row on are known."""

MAX_FITTED_WINDOWS = 200_000
"""Of more, evenly many of each market are taken: so few coefficients need no more."""
_RANGE_DAYS = (5, 20)
_SMALLEST_RANGE = 1e-6
"""A market at rest has no range, and its logarithm no value."""


def _log_volatilities(bars: pd.DataFrame) -> Floats:
    """The logarithm of the mean high-low range of the last 5 and 20 days, level kept."""
    ranges = pd.Series(np.log((bars["high"] / bars["low"]).to_numpy(np.float64)))
    means = [ranges.rolling(days).mean().to_numpy(np.float64) for days in _RANGE_DAYS]
    return np.log(np.maximum(np.column_stack(means), _SMALLEST_RANGE))


def _lagged_returns(bars: pd.DataFrame) -> Floats:
    """The last 20 daily logarithmic returns."""
    returns = pd.Series(np.log(bars["close"].to_numpy(np.float64))).diff()
    return np.column_stack([returns.shift(lag).to_numpy(np.float64) for lag in range(LAGS)])


_INPUTS: Mapping[str, Inputs] = {
    VOLATILITY: _log_volatilities,
    LAGGED_RETURNS: _lagged_returns,
}
DAY_BASELINES = tuple(_INPUTS)
"""Their names."""


def fit_day_baselines(markets: Markets, data: WindowedData) -> Iterator[Baseline]:
    """Fit each on `data.train`; nothing is chosen, so that no validation span is needed."""
    ends = data.train.cpu().numpy()
    ends = ends[:: -(-len(ends) // MAX_FITTED_WINDOWS)]
    labels = data.labels.cpu().numpy()[ends]
    for name, inputs in _INPUTS.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(_of_ends(inputs, markets, data, ends), labels)
        yield Baseline(name=name, settings="", predict=partial(_predict, model, inputs))


def _predict(
    model: Any, inputs: Inputs, markets: Markets, data: WindowedData, ends: torch.Tensor
) -> Floats:
    of_ends = _of_ends(inputs, markets, data, ends.cpu().numpy())
    return np.asarray(model.predict_proba(of_ends)[:, 1], dtype=np.float64)


def _of_ends(
    inputs: Inputs, markets: Markets, data: WindowedData, ends: npt.NDArray[np.int64]
) -> Floats:
    """What a baseline sees on the days of the end rows: (ends, numbers)."""
    bars = {each.name: each.frame for each in markets.each}
    found: Floats | None = None
    for name, start, stop in zip(
        data.markets, data.market_starts[:-1], data.market_starts[1:], strict=True
    ):
        inside = np.flatnonzero((ends >= start) & (ends < stop))
        if len(inside):
            rows = ends[inside] - start
            of_market = inputs(bars[name].head(rows.max() + 1))
            if found is None:
                found = np.empty((len(ends), of_market.shape[1]))
            found[inside] = of_market[rows]
    assert found is not None, "there are no windows"
    return found

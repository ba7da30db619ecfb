"""Simple predictors of a study's labels, each a logistic regression on a few numbers of a day.

They are fitted on the training span alone, in seconds, so that a study is held against them from
its first trial on. What is learnt of a rise within days is, on most markets, mostly how large moves
are at present; two numbers tell that too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData

Floats = npt.NDArray[np.float64]

MAX_FITTED_WINDOWS = 200_000
"""Of more, evenly many of each market are taken: so few coefficients need no more."""
LAGS = 20
_RANGE_DAYS = (5, 20)
_SMALLEST_RANGE = 1e-6
"""A market at rest has no range, and its logarithm no value."""


@dataclass(frozen=True, kw_only=True)
class DayBaseline:
    """A baseline and the numbers of a day that it sees."""

    name: str
    title: str
    inputs: Callable[[pd.DataFrame], Floats]
    """From a market's bars to (rows, numbers); no row depends on a later one, and all from the
    first end row on are known."""


def _log_volatilities(bars: pd.DataFrame) -> Floats:
    """The logarithm of the mean high-low range of the last 5 and 20 days, level kept."""
    ranges = pd.Series(np.log((bars["high"] / bars["low"]).to_numpy(np.float64)))
    means = [ranges.rolling(days).mean().to_numpy(np.float64) for days in _RANGE_DAYS]
    return np.log(np.maximum(np.column_stack(means), _SMALLEST_RANGE))


def _lagged_returns(bars: pd.DataFrame) -> Floats:
    """The last 20 daily logarithmic returns."""
    returns = pd.Series(np.log(bars["close"].to_numpy(np.float64))).diff()
    return np.column_stack([returns.shift(lag).to_numpy(np.float64) for lag in range(LAGS)])


DAY_BASELINES = (
    DayBaseline(
        name="volatility",
        title="logistic regression on two log volatilities",
        inputs=_log_volatilities,
    ),
    DayBaseline(
        name="lagged_returns",
        title=f"logistic regression on {LAGS} lagged returns",
        inputs=_lagged_returns,
    ),
)


def validation_probabilities(markets: Markets, data: WindowedData) -> Mapping[str, Floats]:
    """Of each baseline, by name, the probability of a rise in each window of `data.validation`."""
    validation = data.validation.cpu().numpy()
    train = data.train.cpu().numpy()
    train = train[:: -(-len(train) // MAX_FITTED_WINDOWS)]
    labels = data.labels.cpu().numpy()[train]
    found = {}
    for baseline in DAY_BASELINES:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(_inputs(baseline, markets, data, train), labels)
        on_validation = _inputs(baseline, markets, data, validation)
        found[baseline.name] = model.predict_proba(on_validation)[:, 1]
    return found


def _inputs(
    baseline: DayBaseline, markets: Markets, data: WindowedData, ends: npt.NDArray[np.int64]
) -> Floats:
    """What the baseline sees on the days of the end rows: (ends, numbers)."""
    bars = {each.name: each.frame for each in markets.each}
    found: Floats | None = None
    for name, start, stop in zip(
        data.markets, data.market_starts[:-1], data.market_starts[1:], strict=True
    ):
        inside = np.flatnonzero((ends >= start) & (ends < stop))
        if len(inside):
            rows = ends[inside] - start
            of_market = baseline.inputs(bars[name].head(rows.max() + 1))
            if found is None:
                found = np.empty((len(ends), of_market.shape[1]))
            found[inside] = of_market[rows]
    assert found is not None, "there are no windows"
    return found

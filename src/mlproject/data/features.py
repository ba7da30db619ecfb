"""The 25 features of a day: its bar and 20 indicators. Their scaling is in `windows`.

A market at rest has values too, so that valid bars never give NaN or infinity: the RSIs and
stochastic RSIs are 50, %B is 0.5, MACD, ATR and ADX are 0, VWAP is the plain average price; OBV and
ADOSC stand still when nothing is traded. Tests hold it.
"""

import numpy as np
import pandas as pd
import talib

from mlproject.data.indicators import (
    bollinger_percent_b,
    on_completed_weeks,
    rsi,
    sma,
    stochastic_rsi,
    vwap,
)

FEATURES: tuple[str, ...] = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "dema_9",
    "dema_10",
    "sma_12",
    "dema_20",
    "dema_25",
    "sma_50",
    "dema_90",
    "sma_100",
    "sma_200",
    "rsi_daily",
    "rsi_weekly",
    "stochrsi_daily",
    "stochrsi_weekly",
    "macd_line",
    "obv",
    "adosc",
    "atr_14",
    "adx_14",
    "bb_percent_b",
    "vwap_20",
)

NEED_VOLUME = ("volume", "obv", "adosc", "vwap_20")

WARM_UP_ROWS = 199
"""Rows at the start in which a feature is still NaN, whatever the market: `sma_200` is the last.
`stochrsi_weekly` needs 28 completed weeks, which are at most 196 rows, even with seven bars each.
"""


def feature_names(*, has_volume: bool) -> tuple[str, ...]:
    """The features that can be computed of a market."""
    return tuple(name for name in FEATURES if has_volume or name not in NEED_VOLUME)


def compute_features(frame: pd.DataFrame) -> pd.DataFrame:
    """The `FEATURES` of each row of a frame of bars: (rows, 25), float64, with the same index.

    The bars must be valid (see `checks`). Rows from `WARM_UP_ROWS` on hold no NaN; a row depends
    on the rows up to it and on no later one.
    """
    open_, high, low, close, volume = (
        np.ascontiguousarray(frame[column], dtype=np.float64)
        for column in ("open", "high", "low", "close", "volume")
    )
    dates = frame["date"].to_numpy()
    macd_line, _, _ = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    features = {
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        **{f"dema_{days}": talib.DEMA(close, timeperiod=days) for days in (9, 10, 20, 25, 90)},
        **{f"sma_{days}": sma(close, days) for days in (12, 50, 100, 200)},
        "rsi_daily": rsi(close),
        "rsi_weekly": on_completed_weeks(rsi, dates, close),
        "stochrsi_daily": stochastic_rsi(close),
        "stochrsi_weekly": on_completed_weeks(stochastic_rsi, dates, close),
        "macd_line": macd_line,
        "obv": talib.OBV(close, volume),
        "adosc": talib.ADOSC(high, low, close, volume, fastperiod=3, slowperiod=10),
        "atr_14": talib.ATR(high, low, close, timeperiod=14),
        "adx_14": talib.ADX(high, low, close, timeperiod=14),
        "bb_percent_b": bollinger_percent_b(close),
        "vwap_20": vwap(high, low, close, volume),
    }
    return pd.DataFrame(features, index=frame.index)[list(FEATURES)]

"""The indicators that TA-Lib lacks, or where its answer for a market at rest would mislead.

All take and give float64 arrays of shape (rows,), NaN until there is enough past, and use nothing
but the rows up to each row.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import talib

Floats = npt.NDArray[np.float64]

# RSI runs from 0 to 100; less than this is rounding of the running averages, not a movement.
_RSI_ROUNDING = 1e-9


def rolling(values: Floats, days: int) -> Floats:
    """Each row's last `days` values, shape (rows, days); the first days-1 rows hold NaN.

    An average over these is free of a value once it has left the window. A running sum, as in
    TA-Lib, keeps the rounding error that one huge value leaves behind.
    """
    padded = np.concatenate([np.full(days - 1, np.nan), values])
    windows: Floats = np.lib.stride_tricks.sliding_window_view(padded, days)
    return windows


def sma(close: Floats, days: int) -> Floats:
    """The simple moving average of the last `days` rows."""
    return rolling(close, days).mean(axis=1)


def rsi(close: Floats, days: int = 14) -> Floats:
    """The relative strength index, 0..100; 50 where the price has never moved.

    Wilder, "New Concepts in Technical Trading Systems" (1978).

    TA-Lib's RSI says 0 there, as in a crash. Its CMO is the same ratio of the same averages,
    (gain - loss) / (gain + loss), and says 0 there, which is the middle.
    """
    momentum: Floats = talib.CMO(close, timeperiod=days)
    return 50.0 + momentum / 2.0


def stochastic_rsi(close: Floats, days: int = 14) -> Floats:
    """The stochastic RSI: where RSI(14) stands in its range of the last `days` rows, 0..100.

    This is the fast %K, not smoothed (Chande and Kroll, "The New Technical Trader", 1994). 50
    where the RSI has not moved.
    """
    strength = rsi(close)
    recent = rolling(strength, days)
    lowest = recent.min(axis=1)
    spread = recent.max(axis=1) - lowest
    flat = spread < _RSI_ROUNDING
    return np.where(flat, 50.0, 100.0 * (strength - lowest) / np.where(flat, 1.0, spread))


def bollinger_percent_b(close: Floats, days: int = 20) -> Floats:
    """Bollinger's %B: 0 on the lower band, 1 on the upper (2 sigma); 0.5 where prices are flat."""
    recent = rolling(close, days)
    sigma = recent.std(axis=1)
    # Rounding of the mean gives equal values a sigma that is not quite 0.
    flat = (recent.max(axis=1) == recent.min(axis=1)) | (sigma == 0)
    distance = close - recent.mean(axis=1)
    return np.where(flat, 0.5, 0.5 + distance / (4.0 * np.where(flat, 1.0, sigma)))


def vwap(high: Floats, low: Floats, close: Floats, volume: Floats, days: int = 20) -> Floats:
    """The mean typical price of the last `days` rows, weighted by volume.

    The typical price is the mean of high, low and close. Where nothing was traded, all rows weigh
    the same.
    """
    typical = (high + low + close) / 3.0
    traded = rolling(volume, days).sum(axis=1)
    money = rolling(typical * volume, days).sum(axis=1)
    idle = ~(traded > 0)
    return np.where(idle, sma(typical, days), money / np.where(idle, 1.0, traded))


def on_completed_weeks(
    indicator: Callable[[Floats], Floats], dates: npt.NDArray[np.datetime64], close: Floats
) -> Floats:
    """The values of `indicator` over weekly closes, as known before each row's week began.

    A week is Monday to Sunday and its close the last one in it; weeks without rows do not count.
    A row sees the last week before its own, even on a Friday: whether a week is over cannot be
    told from its bars without looking ahead. `dates` must rise.
    """
    # Day 0, 1970-01-01, was a Thursday.
    week = (dates.astype("datetime64[D]").astype(np.int64) + 3) // 7
    _, first_rows, week_of_row = np.unique(week, return_index=True, return_inverse=True)
    last_rows = np.append(first_rows[1:], len(week)) - 1
    weekly = indicator(close[last_rows])
    return np.concatenate([[np.nan], weekly[:-1]])[week_of_row]

"""What daily bars must be, in numpy: the same as `mlproject.data.bar_expectations`, in milliseconds
and in any thread.

Tests hold that both accept and refuse the same bars. Great Expectations takes a second for each
market and says in full what is wrong; this says whether anything is.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_limits import (
    MAX_GAP_DAYS,
    MAX_IDENTICAL_ROWS,
    MAX_MOVE,
    MAX_PRICE,
    MAX_VOLUME,
    PRICES,
)
from mlproject.data.bar_measures import (
    COPY,
    GAP_DAYS,
    MOVE,
    REPEATS,
    SPLIT,
    UNFINISHED,
    measure,
    step_name,
)
from mlproject.data.column_map import REQUIRED_COLUMNS

_NO_ROW: npt.NDArray[np.intp] = np.array([], dtype=np.intp)


def broken_rules(
    bars: pd.DataFrame, unfinished_time: str = ""
) -> Mapping[str, npt.NDArray[np.intp]]:
    """The rules that a frame of bars breaks, each with the rows that do (from 0).

    A rule that is about the bars as a whole has no rows. How many rows there must be is not
    decided here.
    """
    missing = np.any(bars.isna().to_numpy(), axis=1)
    if missing.any():
        # The other rules would blame these rows for what they lack.
        return {f"one of {', '.join(REQUIRED_COLUMNS)} is empty": np.flatnonzero(missing)}
    measures = measure(bars, unfinished_time)
    broken = {rule: np.flatnonzero(rows) for rule, rows in _by_row(bars, measures).items()}
    return {
        **dict.fromkeys(_by_whole(bars, measures), _NO_ROW),
        **{rule: rows for rule, rows in broken.items() if len(rows)},
    }


def _by_whole(bars: pd.DataFrame, measures: pd.DataFrame) -> Iterator[str]:
    usual_step = measures[GAP_DAYS].median()
    if len(bars) > 1 and usual_step != 1:
        yield (
            f"the usual step between rows must be one day, here it is {usual_step:g}: these are "
            f"{step_name(usual_step)}"
        )
    if len(bars) and bars["volume"].max() == 0:
        yield "volume must be above 0 in some row, here is none"


def _by_row(
    bars: pd.DataFrame, measures: pd.DataFrame
) -> Mapping[str, npt.NDArray[np.bool_] | pd.Series]:
    gap_days = measures[GAP_DAYS].fillna(1).to_numpy()
    prices = bars[list(PRICES)].to_numpy()
    low, high = bars["low"].to_numpy(), bars["high"].to_numpy()
    inside = bars[["open", "close"]].to_numpy()
    return {
        "date must be later than the row before": gap_days <= 0,
        f"date must be within {MAX_GAP_DAYS} days of the row before": gap_days > MAX_GAP_DAYS,
        f"prices must be above 0 and at most {MAX_PRICE:g}": (
            np.any(~((prices > 0) & (prices <= MAX_PRICE)), axis=1)
        ),
        f"volume must be 0 or more and at most {MAX_VOLUME:g}": (
            ~bars["volume"].between(0, MAX_VOLUME)
        ),
        "open and close must not be below low": np.any(inside < low[:, None], axis=1),
        "open and close must not be above high": np.any(inside > high[:, None], axis=1),
        "the last row must be a finished day": measures[UNFINISHED] > 0,
        "the last row must not be a copy of the row before": measures[COPY] > 0,
        f"at most {MAX_IDENTICAL_ROWS} rows on end may be identical": (
            measures[REPEATS] > MAX_IDENTICAL_ROWS
        ),
        "prices must be adjusted for splits": measures[SPLIT] > 0,
        f"close must be within a factor of {MAX_MOVE:g} of the row before": (
            measures[MOVE] > MAX_MOVE
        ),
    }

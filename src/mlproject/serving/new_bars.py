"""Bars that a model is asked about: read and checked in milliseconds, in any thread.

The checks are those of `mlproject.data.bar_expectations`, but for the number of rows; tests hold
that both accept and refuse the same bars. Great Expectations itself takes seconds to start and is
not for threads.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_columns import REQUIRED_COLUMNS, parse_columns
from mlproject.data.bar_files import RawTable
from mlproject.data.bar_limits import MAX_GAP_DAYS, MAX_PRICE, MAX_VOLUME, PRICES
from mlproject.data.features import WARM_UP_ROWS
from mlproject.errors import UserError
from mlproject.models.arch_grid import WINDOW_DAYS

FEWEST_BARS = WARM_UP_ROWS + WINDOW_DAYS
"""With so many bars the last day has a probability."""

_SOURCE = "the bars"
_ROWS_SHOWN = 3


class UnusableBars(UserError):
    """Bars that no probability can be given for."""


def read_new_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """The required columns, typed, of a frame of bars, oldest first.

    Dates may be datetimes, dates or ISO text; numbers may be whole. Other columns are left out.

    Raises:
        UserError: a column is missing or cannot be read, the bars make no sense, or they are fewer
            than `FEWEST_BARS`.
    """
    counted = frame.set_axis(pd.RangeIndex(1, len(frame) + 1), axis="index")
    bars = parse_columns(RawTable(frame=counted, place="row"), _SOURCE).frame
    _check(bars)
    if len(bars) < FEWEST_BARS:
        raise UnusableBars(
            f"{_SOURCE}: {len(bars)} days are too few: a day needs {FEWEST_BARS - 1} days before "
            f"it, so give {FEWEST_BARS} or more, as many as there are"
        )
    return bars


def _check(bars: pd.DataFrame) -> None:
    missing = np.any(bars.isna().to_numpy(), axis=1)
    if missing.any():
        raise _refusal(f"one of {', '.join(REQUIRED_COLUMNS)} is empty", missing)
    gap_days = bars["date"].diff().dt.days.to_numpy()[1:]
    prices = bars[list(PRICES)].to_numpy()
    low, high = bars["low"].to_numpy(), bars["high"].to_numpy()
    inside = bars[["open", "close"]].to_numpy()
    wrong: dict[str, npt.NDArray[np.bool_]] = {
        "date must be later than the row before": np.append(False, gap_days <= 0),
        f"date must be within {MAX_GAP_DAYS} days of the row before": np.append(
            False, gap_days > MAX_GAP_DAYS
        ),
        f"prices must be above 0 and at most {MAX_PRICE:g}": (
            np.any(~((prices > 0) & (prices <= MAX_PRICE)), axis=1)
        ),
        f"volume must be 0 or more and at most {MAX_VOLUME:g}": (
            ~bars["volume"].between(0, MAX_VOLUME).to_numpy()
        ),
        "open and close must not be below low": np.any(inside < low[:, None], axis=1),
        "open and close must not be above high": np.any(inside > high[:, None], axis=1),
    }
    for rule, broken in wrong.items():
        if broken.any():
            raise _refusal(rule, broken)


def _refusal(rule: str, broken: npt.NDArray[np.bool_]) -> UnusableBars:
    rows = np.flatnonzero(broken) + 1
    shown = ", ".join(map(str, rows[:_ROWS_SHOWN])) + (", …" if len(rows) > _ROWS_SHOWN else "")
    return UnusableBars(f"{_SOURCE}: {rule}, which rows break ({len(rows)}): {shown}")

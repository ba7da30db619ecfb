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

    Dates may be datetimes, dates or ISO text; numbers may be whole. Other columns are left out, and
    bars that come newest first are turned round.

    Raises:
        UserError: a column is missing or cannot be read, the bars make no sense, or they are fewer
            than `FEWEST_BARS`.
    """
    counted = frame.set_axis(pd.RangeIndex(1, len(frame) + 1), axis="index")
    read = parse_columns(RawTable(frame=counted, place="row"), _SOURCE)
    bars = read.frame
    _check(bars, measure(bars, read.unfinished_time))
    if len(bars) < FEWEST_BARS:
        raise UnusableBars(
            f"{_SOURCE}: {len(bars)} days are too few: a day needs {FEWEST_BARS - 1} days before "
            f"it, so give {FEWEST_BARS} or more, as many as there are"
        )
    return bars


def _check(bars: pd.DataFrame, measures: pd.DataFrame) -> None:
    missing = np.any(bars.isna().to_numpy(), axis=1)
    if missing.any():
        raise _refusal(f"one of {', '.join(REQUIRED_COLUMNS)} is empty", missing)
    usual_step = measures[GAP_DAYS].median()
    if len(bars) > 1 and usual_step != 1:
        raise UnusableBars(
            f"{_SOURCE}: the usual step between rows must be one day, here it is {usual_step:g}: "
            f"these are {step_name(usual_step)}"
        )
    if len(bars) and bars["volume"].max() == 0:
        raise UnusableBars(f"{_SOURCE}: volume must be above 0 in some row, here is none")
    gap_days = measures[GAP_DAYS].fillna(1).to_numpy()
    prices = bars[list(PRICES)].to_numpy()
    low, high = bars["low"].to_numpy(), bars["high"].to_numpy()
    inside = bars[["open", "close"]].to_numpy()
    wrong: dict[str, npt.NDArray[np.bool_]] = {
        "date must be later than the row before": gap_days <= 0,
        f"date must be within {MAX_GAP_DAYS} days of the row before": gap_days > MAX_GAP_DAYS,
        f"prices must be above 0 and at most {MAX_PRICE:g}": (
            np.any(~((prices > 0) & (prices <= MAX_PRICE)), axis=1)
        ),
        f"volume must be 0 or more and at most {MAX_VOLUME:g}": (
            ~bars["volume"].between(0, MAX_VOLUME).to_numpy()
        ),
        "open and close must not be below low": np.any(inside < low[:, None], axis=1),
        "open and close must not be above high": np.any(inside > high[:, None], axis=1),
        **{
            rule: (measures[name] > limit).to_numpy()
            for name, limit, rule in (
                (UNFINISHED, 0, "the last row must be a finished day"),
                (COPY, 0, "the last row must not be a copy of the row before"),
                (
                    REPEATS,
                    MAX_IDENTICAL_ROWS,
                    f"at most {MAX_IDENTICAL_ROWS} rows on end may be identical",
                ),
                (SPLIT, 0, "prices must be adjusted for splits"),
                (
                    MOVE,
                    MAX_MOVE,
                    f"close must be within a factor of {MAX_MOVE:g} of the row before",
                ),
            )
        },
    }
    for rule, broken in wrong.items():
        if broken.any():
            raise _refusal(rule, broken)


def _refusal(rule: str, broken: npt.NDArray[np.bool_]) -> UnusableBars:
    rows = np.flatnonzero(broken) + 1
    shown = ", ".join(map(str, rows[:_ROWS_SHOWN])) + (", …" if len(rows) > _ROWS_SHOWN else "")
    return UnusableBars(f"{_SOURCE}: {rule}, which rows break ({len(rows)}): {shown}")

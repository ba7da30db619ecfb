"""Bars that a model is asked about: read and checked in milliseconds, in any thread.

The checks are those of `mlproject.data.bar_rules`; Great Expectations takes seconds to start and is
not for threads.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_columns import parse_columns
from mlproject.data.bar_files import RawTable
from mlproject.data.bar_rules import broken_rules
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
    for rule, rows in broken_rules(bars, read.unfinished_time).items():
        raise _refusal(rule, rows)
    if len(bars) < FEWEST_BARS:
        raise UnusableBars(
            f"{_SOURCE}: {len(bars)} days are too few: a day needs {FEWEST_BARS - 1} days before "
            f"it, so give {FEWEST_BARS} or more, as many as there are"
        )
    return bars


def _refusal(rule: str, rows: npt.NDArray[np.intp]) -> UnusableBars:
    if not len(rows):
        return UnusableBars(f"{_SOURCE}: {rule}")
    shown = ", ".join(map(str, rows[:_ROWS_SHOWN] + 1))
    shown += ", …" if len(rows) > _ROWS_SHOWN else ""
    return UnusableBars(f"{_SOURCE}: {rule}, which rows break ({len(rows)}): {shown}")

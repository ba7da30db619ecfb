"""Bars that a model is asked about: read and checked in milliseconds, in any thread.

The checks are those of `mlproject.data.bar_rules`; Great Expectations takes seconds to start and is
not for threads.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_columns import parse_columns
from mlproject.data.bar_files import RawTable
from mlproject.data.bar_markets import split_by_market
from mlproject.data.bar_rules import broken_rules
from mlproject.data.column_map import ColumnMap
from mlproject.data.features import WARM_UP_ROWS
from mlproject.errors import UserError
from mlproject.models.arch_grid import WINDOW_DAYS

FEWEST_BARS = WARM_UP_ROWS + WINDOW_DAYS
"""With so many bars the last day has a probability."""

_SOURCE = "the bars"
_AS_NAMED: ColumnMap = {}
_ROWS_SHOWN = 3
_NAME = 40


class UnusableBars(UserError):
    """Bars that no probability can be given for."""


NO_VOLUME: ColumnMap = {"volume": None}
"""The columns of bars for a model whose features need no volume."""


def tables_by_market(frame: pd.DataFrame, columns: ColumnMap = _AS_NAMED) -> dict[str, RawTable]:
    """A table for each market that a column such as `symbol` names, by its name; without one a
    table under the empty name.

    Raises:
        UserError: no column of bars is found, or rows do not say which market they are of.
    """
    counted = frame.set_axis(pd.RangeIndex(1, len(frame) + 1), axis="index")
    return split_by_market(RawTable(frame=counted, place="row"), columns, _SOURCE)


def read_new_bars(
    table: RawTable, market: str = "", columns: ColumnMap = _AS_NAMED
) -> pd.DataFrame:
    """The required columns, typed, of the bars of one market, oldest first.

    Dates may be datetimes, dates or ISO text; numbers may be whole. Other columns are left out, and
    bars that come newest first are turned round. Errors name the `market`.

    Raises:
        UserError: a column is missing or cannot be read, the bars make no sense, or they are fewer
            than `FEWEST_BARS`.
    """
    source = f"{_SOURCE} of {market[:_NAME]}" if market else _SOURCE
    read = parse_columns(table, source, columns)
    bars = read.frame
    to_check = bars if read.has_volume else bars.assign(volume=1.0)
    for rule, rows in broken_rules(to_check, read.unfinished_time).items():
        raise _refusal(source, rule, read.places.numbers[rows])
    if len(bars) < FEWEST_BARS:
        raise UnusableBars(
            f"{source}: {len(bars)} days are too few: a day needs {FEWEST_BARS - 1} days before "
            f"it, so give {FEWEST_BARS} or more, as many as there are"
        )
    return bars


def _refusal(source: str, rule: str, rows: npt.NDArray[np.int64]) -> UnusableBars:
    """`rows` as who sent them counts them, from 1."""
    if not len(rows):
        return UnusableBars(f"{source}: {rule}")
    shown = ", ".join(map(str, rows[:_ROWS_SHOWN]))
    shown += ", …" if len(rows) > _ROWS_SHOWN else ""
    return UnusableBars(f"{source}: {rule}, which rows break ({len(rows)}): {shown}")

"""From a file's raw columns to the six columns of bars: recognised, parsed, typed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_dates import Dates, read_dates, unfinished_time
from mlproject.data.bar_files import DELIMITERS, RawTable
from mlproject.data.bar_limits import PRICES
from mlproject.data.bar_markets import one_market
from mlproject.data.bar_numbers import Numbers, read_numbers, unread
from mlproject.data.bar_shapes import (
    AmbiguousColumns,
    FoundColumns,
    MissingColumns,
    find_columns,
)
from mlproject.data.column_map import REQUIRED_COLUMNS, ColumnMap
from mlproject.errors import UserError
from mlproject.text.escaping import for_terminal
from mlproject.text.phrases import counted

__all__ = [
    "REQUIRED_COLUMNS",
    "AmbiguousColumns",
    "AmbiguousValues",
    "MissingColumns",
    "Places",
    "ReadBars",
    "UnparsableValues",
    "parse_columns",
]

_BAD_VALUES_SHOWN = 3
_LINE = 500
_NO_VOLUME = ("", "-", "--", "n/a", "nan", "none", "null")
_ZERO = ("", "0", "0.0")

_logger = logging.getLogger(__name__)


class UnparsableValues(UserError):
    """Cells of a column are not dates or not numbers."""


class AmbiguousValues(UserError):
    """Dates or numbers can be read in two ways, and nothing in the file decides which."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where the rows of a frame of bars stand in their file."""

    kind: Literal["line", "row"]
    numbers: npt.NDArray[np.int64]
    """(rows,): what a reader of the file counts."""

    def of(self, rows: npt.NDArray[np.intp] | list[int]) -> str:
        """Such as ``line 7`` or ``lines 7, 11`` of rows of the frame, counted from 0."""
        numbers = self.numbers[rows]
        return f"{self.kind}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadBars:
    """A file's bars, oldest first, and what was understood of the file."""

    frame: pd.DataFrame
    """`REQUIRED_COLUMNS` in that order with a RangeIndex; `date` is datetime64[us] at midnight: of
    a time with a zone, the local calendar date. The others are float64. An empty cell is NaT or
    NaN; whether that is allowed is decided by the checks."""

    places: Places
    source_shape: str
    """One line: the source and all that was not read as it stands."""

    has_volume: bool
    """False where the column map says that there is none: `volume` is then 0 all along."""

    unfinished_time: str
    """See `mlproject.data.bar_dates.unfinished_time`."""


def parse_columns(table: RawTable, source: str, column_map: ColumnMap | None = None) -> ReadBars:
    """The bars of a table, whatever source it is of; `column_map` says which column is which.

    Raises `MissingColumns`, `AmbiguousColumns`, `BadColumnMap`, `UnparsableValues`,
    `AmbiguousValues` or `SeveralMarkets`.
    """
    if any(table.symbols):  # before the columns of several markets are found to repeat
        one_market(table, None, source)
    columns = find_columns([str(n) for n in table.frame.columns], column_map or {}, source)
    market = one_market(table, columns, source)
    at, volume_note = dict(columns.positions), "no volume"
    if columns.volumes:
        at["volume"], volume_note = _volume(table, columns, source)
    _log_ignored(table, at, source)
    raw = {name: table.frame.iloc[:, position] for name, position in at.items()}
    raw.setdefault("volume", pd.Series(0.0, index=table.frame.index))
    holidays = np.logical_and.reduce([_is_null(raw[price]) for price in PRICES])
    raw = {name: cells[~holidays] for name, cells in raw.items()}
    dates = _dates(raw["date"], table, source)
    numbers = _numbers(
        {name: raw[name] for name in REQUIRED_COLUMNS[1:]},
        table,
        source,
        plain_first=columns.shape.decimal_point or table.delimiter == ",",
    )
    frame = pd.DataFrame({"date": dates.days, **numbers.columns})
    newest_first = _is_newest_first(dates.days)
    if newest_first:
        frame = frame.iloc[::-1]
    notes = (
        table.shape or columns.shape.name,
        f"market {market[:40]}" if market else "",
        f"fields split by {DELIMITERS[table.delimiter]}" if table.delimiter != "," else "",
        *(f"{column} from {name!r}" for column, name in (column_map or {}).items() if name),
        _adjusted_note(table, columns),
        dates.note,
        *numbers.notes,
        volume_note,
        f"{counted(int(holidays.sum()), 'row')} of null left out" if holidays.any() else "",
        "newest first turned round" if newest_first else "",
        f"{len(frame):,} row{'s' * (len(frame) != 1)}",
    )
    return ReadBars(
        frame=frame.reset_index(drop=True),
        places=Places(kind=table.place, numbers=frame.index.to_numpy(np.int64)),
        source_shape=for_terminal(" ".join(", ".join(filter(None, notes)).split())[:_LINE]),
        has_volume=bool(columns.volumes),
        unfinished_time=unfinished_time(dates.stamps[frame.index]),
    )


def _volume(table: RawTable, columns: FoundColumns, source: str) -> tuple[int, str]:
    """The position of the volume, and what is to be said of it."""
    names = [str(name) for name in table.frame.columns]
    first = columns.volumes[0]
    for position in columns.volumes:
        cells = table.frame.iloc[:, position].astype(str).str.strip().str.lower()
        if len(cells) and cells.isin(_NO_VOLUME).all():
            continue
        if position != columns.volumes[-1] and cells.isin(_ZERO).all():
            continue
        note = f"volume from {names[position]!r} since {names[first]!r} is 0 all along"
        return position, note if position != first else ""
    raise MissingColumns(
        f"{source}: missing column volume: {names[first]!r} is empty in every row; "
        "features such as OBV and VWAP need it, so give bars that have one, or go without them "
        "with volume=none"
    )


def _log_ignored(table: RawTable, at: Mapping[str, int], source: str) -> None:
    used = set(at.values())
    ignored = [str(name) for at, name in enumerate(table.frame.columns) if at not in used]
    if ignored:
        _logger.info("%s: using %s; ignoring %s", source, ", ".join(at), ", ".join(ignored))


def _adjusted_note(table: RawTable, columns: FoundColumns) -> str:
    if columns.adjusted_close is None:
        return ""
    names = table.frame.columns
    read, left = names[columns.positions["close"]], names[columns.adjusted_close]
    return f"'{read}' read and '{left}' left out"


def _is_null(cells: pd.Series) -> npt.NDArray[np.bool_]:
    """Where a day without trading is written as one: an empty cell is more likely a mistake."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return np.zeros(len(cells), dtype=np.bool_)
    return (cells.astype(str).str.strip().str.lower() == "null").to_numpy(np.bool_)


def _is_newest_first(days: pd.Series) -> bool:
    known = days.dropna()
    return bool(len(known) > 1 and known.is_monotonic_decreasing and known.iloc[0] > known.iloc[-1])


def _dates(cells: pd.Series, table: RawTable, source: str) -> Dates:
    dates = read_dates(cells)
    bad = unread(dates.stamps, cells)
    if len(bad):
        raise _unparsable(bad, "date", table.place, source)
    if dates.doubtful:
        shown = f"{table.place} {cells.index[0]} ({str(cells.iloc[0])!r})"
        raise AmbiguousValues(
            f"{source}: column date: each could be day first or month first, as in {shown}; "
            "write all dates as YYYY-MM-DD"
        )
    return dates


def _numbers(
    cells: dict[str, pd.Series], table: RawTable, source: str, *, plain_first: bool
) -> Numbers:
    numbers = read_numbers(cells, plain_first=plain_first)
    for name, values in numbers.columns.items():
        bad = unread(values, cells[name])
        if len(bad):
            raise _unparsable(bad, name, table.place, source)
    if numbers.doubtful:
        raise AmbiguousValues(
            f"{source}: a mark could be a decimal or a thousands mark, and no number in the file "
            f"decides: {', '.join(numbers.doubtful)}; write plain numbers such as 1234.5"
        )
    return numbers


def _unparsable(bad: pd.Series, column: str, place: str, source: str) -> UnparsableValues:
    shown = ", ".join(
        f"{place} {number} ({str(value)[:40]!r})"
        for number, value in bad.head(_BAD_VALUES_SHOWN).items()
    )
    kind, advice = ("number", "plain numbers such as 1234.5")
    if column == "date":
        kind, advice = ("date", "all dates as YYYY-MM-DD")
    counted_bad = (
        f"1 value is not a {kind}" if len(bad) == 1 else f"{len(bad)} values are not {kind}s"
    )
    return UnparsableValues(f"{source}: column {column}: {counted_bad}: {shown}; write {advice}")

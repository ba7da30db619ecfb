"""From a file's raw columns to the six columns of bars: found by name, parsed, typed."""

import logging
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mlproject.data.bar_files import RawTable
from mlproject.errors import UserError

REQUIRED_COLUMNS = ("date", "open", "high", "low", "close", "volume")

# 'ISO8601' includes 1999-01-04, 19990104 and times of day; the other is how Yahoo and `arch`
# write US dates. Day-first dates are refused: most of them read as month-first, wrongly.
DATE_FORMATS = ("ISO8601", "%m/%d/%Y")

# A zone stands behind a time of day, so that the year of 04-01-1999 is not taken for one.
_ZONE_AFTER_TIME = re.compile(r"(:\d{2}(?:\.\d+)?) *(?:Z|UTC|[+-]\d{2}:?\d{2})$")

_BAD_VALUES_SHOWN = 3

_logger = logging.getLogger(__name__)


class MissingColumns(UserError):
    """The file lacks columns that every bar needs."""


class AmbiguousColumns(UserError):
    """Two columns of the file are the same but for case and blanks."""


class UnparsableValues(UserError):
    """Cells of a column are not dates or not numbers."""


def parse_columns(table: RawTable, source: str) -> pd.DataFrame:
    """The required columns of `table`, typed and in order, with a RangeIndex.

    `date` becomes datetime64[us] at midnight: of a time with a zone, the local calendar date.
    The others become float64. An empty cell becomes NaT or NaN; whether that is allowed is
    decided by the checks.

    Raises `MissingColumns`, `AmbiguousColumns` or `UnparsableValues`.
    """
    positions = _find_columns([str(name) for name in table.frame.columns], source)
    parsed: dict[str, pd.Series] = {}
    for name in REQUIRED_COLUMNS:
        cells = table.frame.iloc[:, positions[name]]
        values = _parse_dates(cells) if name == "date" else _parse_numbers(cells)
        bad = values.isna() & ~_is_empty(cells)
        if bad.any():
            raise _unparsable(cells[bad], name, table.place, source)
        parsed[name] = values.reset_index(drop=True)
    return pd.DataFrame(parsed)


def _find_columns(found: Sequence[str], source: str) -> dict[str, int]:
    """The position of each required column among the names `found`."""
    names = [name.strip().lower() for name in found]
    if "date" not in names and "" in names:
        # An index that was written without a name: pandas does so for a date index.
        names[names.index("")] = "date"
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        # A name may hold a line break, and a file that is no table has a very long first line.
        seen = " ".join(", ".join(found).split())[:300]
        raise MissingColumns(
            f"{source}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"found {seen}; rename or add columns (upper or lower case is the same)"
        )
    for name in REQUIRED_COLUMNS:
        if names.count(name) > 1:
            same = [repr(f) for f, n in zip(found, names, strict=True) if n == name]
            raise AmbiguousColumns(
                f"{source}: columns {' and '.join(same)} are both '{name}'; keep one of them"
            )
    ignored = [f for f, n in zip(found, names, strict=True) if n not in REQUIRED_COLUMNS]
    if ignored:
        _logger.info(
            "%s: using %s; ignoring %s", source, ", ".join(REQUIRED_COLUMNS), ", ".join(ignored)
        )
    return {name: names.index(name) for name in REQUIRED_COLUMNS}


def _is_empty(cells: pd.Series) -> pd.Series:
    return cells.isna() | (cells.astype(str).str.strip() == "")


def _parse_dates(cells: pd.Series) -> pd.Series:
    """Midnights; NaT where a cell is no date."""
    if not pd.api.types.is_datetime64_any_dtype(cells.dtype):
        # Whole numbers go through text too: pandas would read 19990104 as nanoseconds of 1970.
        text = cells.astype(str).str.strip().str.replace(_ZONE_AFTER_TIME, r"\1", regex=True)
        tries = [pd.to_datetime(text, format=f, errors="coerce") for f in DATE_FORMATS]
        cells = min(tries, key=lambda dates: int(dates.isna().sum()))
    midnights: pd.Series = cells.dt.tz_localize(None).dt.normalize()
    return midnights.astype("datetime64[us]")


def _parse_numbers(cells: pd.Series) -> pd.Series:
    """Float64; NaN where a cell is no number."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = np.array([_number(str(cell)) for cell in cells], dtype=np.float64)
    return pd.Series(numbers, index=cells.index)


def _number(text: str) -> float:
    try:
        # float() would take 1_000 for 1000.
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


def _unparsable(bad: pd.Series, column: str, place: str, source: str) -> UnparsableValues:
    shown = ", ".join(
        f"{place} {number} ({str(value)[:40]!r})"
        for number, value in bad.head(_BAD_VALUES_SHOWN).items()
    )
    kind, advice = ("number", "plain numbers such as 1234.5")
    if column == "date":
        kind, advice = ("date", "all dates as YYYY-MM-DD")
    counted = f"1 value is not a {kind}" if len(bad) == 1 else f"{len(bad)} values are not {kind}s"
    return UnparsableValues(f"{source}: column {column}: {counted}: {shown}; write {advice}")

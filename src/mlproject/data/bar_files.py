"""Reading a CSV or Parquet file into an untyped table; what its columns mean is not known here."""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from pyarrow.parquet import read_metadata

from mlproject.errors import UserError

ENDINGS = (".csv", ".csv.gz", ".parquet")
MAX_CSV_BYTES = 64 << 20
MAX_PARQUET_ROWS = 1_000_000
"""Four thousand years of days: a small file whose cells are all alike may hold far more."""


class BarsFileMissing(UserError):
    """The path leads to no file."""


class UnsupportedBarsFile(UserError):
    """The path's ending is none that can be read."""


class UnreadableBarsFile(UserError):
    """The file is empty, damaged or not what its ending says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable:
    """A file's columns as they were found; names may repeat, a name may be empty."""

    frame: pd.DataFrame
    """Its index is what a reader counts: line numbers of a CSV file, rows from 1 of a Parquet."""

    place: Literal["line", "row"]
    """What the index counts."""


def ending_of(source: str) -> str:
    """The ending of a path, one of `ENDINGS`; raises `UnsupportedBarsFile` for any other."""
    for ending in ENDINGS:
        if source.lower().endswith(ending):
            return ending
    raise UnsupportedBarsFile(
        f"{source}: cannot read bars from this; give 'sp500' or a path ending in "
        f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    )


def read_table(path: Path, source: str) -> RawTable:
    """Read the file at `path`; errors name it by `source`, as the user wrote it.

    Raises `UnsupportedBarsFile`, `BarsFileMissing` or `UnreadableBarsFile`.
    """
    ending = ending_of(path.name)
    if not path.exists():
        raise BarsFileMissing(f"{source}: there is no such file (looked in {path.absolute()})")
    table = _read_parquet(path, source) if ending == ".parquet" else _read_csv(path, source)
    if table.frame.empty:
        raise UnreadableBarsFile(f"{source}: holds no rows; give a file with one bar a row")
    return table


def _read_csv(path: Path, source: str) -> RawTable:
    # Cells stay text: pandas' own parser would rename a second 'Close', lose the line numbers,
    # and round some floats by one bit, so that CSV and Parquet had different digests.
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            content = stream.read(MAX_CSV_BYTES + 1)
        if len(content) > MAX_CSV_BYTES:
            # A packed file of a few kilobytes may hold more than fits in memory.
            raise UnreadableBarsFile(
                f"{source}: holds more than {MAX_CSV_BYTES:,} bytes, which no daily bars do"
            )
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""))
        lines = [(reader.line_num, cells) for cells in reader if cells not in ([], [""])]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(source, "CSV file in UTF-8", error) from error
    if not lines:
        raise UnreadableBarsFile(f"{source}: the file is empty; its first line must name columns")
    (_, header), *rows = lines
    for line, cells in rows:
        if len(cells) != len(header):
            raise UnreadableBarsFile(
                f"{source}: line {line} has {len(cells)} fields where the header has "
                f"{len(header)}; repair that line (fields are separated by commas)"
            )
    frame = pd.DataFrame(
        [cells for _, cells in rows], index=[line for line, _ in rows], columns=header, dtype=object
    )
    return RawTable(frame=frame, place="line")


def _read_parquet(path: Path, source: str) -> RawTable:
    try:
        rows = read_metadata(path).num_rows
        if rows > MAX_PARQUET_ROWS:
            raise UnreadableBarsFile(f"{source}: holds {rows:,} rows, which no daily bars do")
        frame = pd.read_parquet(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(source, "Parquet file", error) from error
    columns = frame.reset_index(drop=True)
    index = frame.index
    if index.names != [None] or isinstance(index, pd.DatetimeIndex):
        for level, name in enumerate(index.names):
            values = index.get_level_values(level)
            columns.insert(level, "" if name is None else name, values, allow_duplicates=True)
    columns.index = pd.RangeIndex(1, len(columns) + 1)
    return RawTable(frame=columns, place="row")


def _unreadable(source: str, expected: str, error: Exception) -> UnreadableBarsFile:
    reason = " ".join(str(error).split())[:200]
    return UnreadableBarsFile(f"{source}: cannot be read as a {expected}: {reason}")

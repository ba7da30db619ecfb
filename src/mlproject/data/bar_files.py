"""Reading a text or Parquet file into an untyped table; what its columns mean is not known here."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

import pandas as pd
from pyarrow.parquet import read_metadata, read_schema

from mlproject.data.bar_headers import Header, header_of_levels, read_header
from mlproject.data.bar_shapes import SYMBOL_COLUMNS
from mlproject.errors import UserError

ENDINGS = (".csv", ".csv.gz", ".txt", ".parquet")
MAX_FILE_BYTES = 64 << 20
MAX_PARQUET_ROWS = 1_000_000
"""Four thousand years of days: a small file whose cells are all alike may hold far more."""
MAX_LONG_PARQUET_ROWS = 30_000_000
"""Of a file that has a column of symbols: what six thousand markets of twenty years have."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_EXCEL_DELIMITER = re.compile(r"sep=(.)\r?\n")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class BarsFileMissing(UserError):
    """The path leads to no file."""


class UnsupportedBarsFile(UserError):
    """What was given as a file is none that can be read."""


class UnreadableBarsFile(UserError):
    """The file is empty, damaged or not what its ending says."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTable:
    """A file's columns as they were found; names may repeat, a name may be empty."""

    frame: pd.DataFrame
    """Its index is what a reader counts: line numbers of a text file, rows from 1 of a Parquet."""

    place: Literal["line", "row"]
    """What the index counts."""

    shape: str = ""
    """Where the header alone tells the source: its name, such as 'yfinance'."""

    symbols: tuple[str, ...] = ()
    """(columns,): the market that the header says a column is of, empty where it is of none; ()
    for most headers, which name no market."""

    delimiter: str = ","
    """Between the fields of a line, one of `DELIMITERS`; a Parquet file has none."""


def ending_of(source: str) -> str:
    """The ending of a path, one of `ENDINGS`; raises `UnsupportedBarsFile` for any other."""
    if _URL.match(source):
        raise UnsupportedBarsFile(
            f"{source}: bars are not fetched from an address; download the file first and give "
            "its path"
        )
    for ending in ENDINGS:
        if source.lower().endswith(ending):
            return ending
    if Path(source).is_dir():
        raise _folder(source)
    raise UnsupportedBarsFile(
        f"{source}: cannot read bars from this; give 'sp500' or a path ending in "
        f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    )


def read_table(path: Path, source: str) -> RawTable:
    """Read the file at `path`; errors name it by `source`, as the user wrote it.

    A file that is too large for daily bars is refused before it is read.

    Raises `UnsupportedBarsFile`, `BarsFileMissing` or `UnreadableBarsFile`.
    """
    ending = ending_of(path.name)
    if not path.exists():
        raise BarsFileMissing(f"{source}: there is no such file (looked in {path.absolute()})")
    if path.is_dir():
        raise _folder(source)
    is_parquet = ending == ".parquet"
    if path.stat().st_size > MAX_FILE_BYTES and not (is_parquet and _has_symbols(path)):
        raise too_large(source)
    table = _read_parquet(path, source) if is_parquet else _read_text(path, source)
    if table.frame.empty:
        raise UnreadableBarsFile(f"{source}: holds no rows; give a file with one bar a row")
    return table


def _read_text(path: Path, source: str) -> RawTable:
    with reading(source, "CSV file in UTF-8"), open_text(path) as stream:
        text = stream.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            # A packed file of a few kilobytes may hold more than fits in memory.
            raise too_large(source)
        return text_table(text, source)


def open_text(path: Path) -> TextIO:
    """A text file, packed or not, in the encoding that its first bytes tell."""
    opener: Callable[..., Any] = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        encoding = "utf-16" if stream.read(2) in _UTF_16 else "utf-8-sig"
    text: TextIO = opener(path, "rt", encoding=encoding, newline="")
    return text


def text_table(text: str, source: str, line_numbers: Sequence[int] | None = None) -> RawTable:
    """The table of a text, whose lines stand in the file at `line_numbers`, by default from 1."""
    # Cells stay text: pandas' own parser would rename a second 'Close', lose the line numbers,
    # and round some floats by one bit, so that CSV and Parquet had different digests.
    lines, delimiter = _split(text)
    if line_numbers is not None:
        lines = [(line_numbers[line - 1], cells) for line, cells in lines]
    if not lines:
        raise UnreadableBarsFile(f"{source}: the file is empty; its first line must name columns")
    header = read_header([cells for _, cells in lines[:4]])
    if header is None:
        shown = delimiter.join(lines[0][1])[:100]
        raise UnreadableBarsFile(
            f"{source}: the first line names no columns ({shown!r}); write one that does, "
            "such as date,open,high,low,close,volume"
        )
    rows = lines[header.lines :]
    for line, cells in rows:
        if len(cells) != len(header.names):
            raise UnreadableBarsFile(
                f"{source}: line {line} has {len(cells)} fields where the header has "
                f"{len(header.names)}; repair that line (fields are separated by "
                f"{DELIMITERS[delimiter]})"
            )
    frame = pd.DataFrame(
        [cells for _, cells in rows],
        index=[line for line, _ in rows],
        columns=list(header.names),
        dtype=object,
    )
    return RawTable(
        frame=frame,
        place="line",
        shape=header.shape,
        symbols=header.symbols,
        delimiter=delimiter,
    )


def _split(text: str) -> tuple[list[tuple[int, list[str]]], str]:
    """The lines that hold anything, each with its number, and the delimiter of their fields.

    The delimiter is the one that gives the first line the most fields.
    """
    skipped = 0
    stated = _EXCEL_DELIMITER.match(text)
    if stated:
        text, skipped = text[stated.end() :], 1

    def fields_of_first_line(delimiter: str) -> int:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return next((len(cells) for cells in reader if cells not in ([], [""])), 0)

    delimiter = max(DELIMITERS, key=fields_of_first_line)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = [(reader.line_num + skipped, cells) for cells in reader if cells not in ([], [""])]
    return lines, delimiter


def _has_symbols(path: Path) -> bool:
    """Whether a Parquet file has a column that says which market a row is of."""
    try:
        names = read_schema(path).names
    except (OSError, ValueError):
        return False
    return any(str(name).strip().lower() in SYMBOL_COLUMNS for name in names)


def _read_parquet(path: Path, source: str) -> RawTable:
    try:
        rows = read_metadata(path).num_rows
        if rows > (MAX_LONG_PARQUET_ROWS if _has_symbols(path) else MAX_PARQUET_ROWS):
            raise UnreadableBarsFile(f"{source}: holds {rows:,} rows, which no daily bars do")
        frame = pd.read_parquet(path)
    except (OSError, ValueError, NotImplementedError) as error:
        raise _unreadable(source, "Parquet file", error) from error
    columns = frame.reset_index(drop=True)
    header = Header(names=tuple(columns.columns), lines=0)
    if isinstance(columns.columns, pd.MultiIndex):
        levels = [list(columns.columns.get_level_values(n)) for n in range(columns.columns.nlevels)]
        header = header_of_levels(levels) or Header(names=tuple(levels[0]), lines=0)
        columns.columns = pd.Index(header.names)
    index = frame.index
    if index.names != [None] or isinstance(index, pd.DatetimeIndex):
        for level, name in enumerate(index.names):
            values = index.get_level_values(level)
            columns.insert(level, "" if name is None else name, values, allow_duplicates=True)
    columns.index = pd.RangeIndex(1, len(columns) + 1)
    symbols = header.symbols
    if symbols:
        symbols = ("",) * (len(columns.columns) - len(symbols)) + symbols
    return RawTable(frame=columns, place="row", shape=header.shape, symbols=symbols)


def _folder(source: str) -> UnreadableBarsFile:
    return UnreadableBarsFile(
        f"{source}: cannot be read as one market's bars: Is a directory; give one file of it"
    )


def too_large(source: str, limit: int = MAX_FILE_BYTES) -> UnreadableBarsFile:
    """The refusal of a file that holds more bytes than `limit`."""
    advice = "which no daily bars of one market do"
    if limit > MAX_FILE_BYTES:
        advice = "which is too much for one file: give a folder with a file for each market"
    return UnreadableBarsFile(f"{source}: holds more than {limit:,} bytes, {advice}")


@contextmanager
def reading(source: str, expected: str) -> Iterator[None]:
    """Tell of a file that cannot be read as what it should be."""
    try:
        yield
    except (OSError, EOFError, zlib.error, UnicodeError, csv.Error) as error:
        raise _unreadable(source, expected, error) from error


def _unreadable(source: str, expected: str, error: Exception) -> UnreadableBarsFile:
    reason = " ".join(str(error).split())[:200]
    return UnreadableBarsFile(f"{source}: cannot be read as a {expected}: {reason}")

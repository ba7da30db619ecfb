"""Text files of many markets that are too large to be held as cells: gone through once, line by
line, and kept as the lines of each market."""

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from mlproject.data.bar_files import (
    MAX_FILE_BYTES,
    RawTable,
    open_text,
    reading,
    text_table,
    too_large,
)
from mlproject.data.bar_markets import refuse_nameless
from mlproject.data.bar_numbers import EMPTY
from mlproject.data.bar_shapes import find_columns
from mlproject.data.column_map import ColumnMap

MAX_LONG_FILE_CHARACTERS = 2 << 30
"""Unpacked. They are held in memory once, beside the bars that were read of them so far."""

_HEAD_LINES = 8


def is_long(path: Path) -> bool:
    """Whether a file is one of text that `read_table` refuses for its size."""
    if not path.is_file() or path.name.lower().endswith(".parquet"):
        return False
    if not path.name.lower().endswith(".gz"):
        return path.stat().st_size > MAX_FILE_BYTES
    with suppress(OSError, EOFError, zlib.error), gzip.open(path, "rb") as stream:
        return len(stream.read(MAX_FILE_BYTES + 1)) > MAX_FILE_BYTES
    return False  # it is damaged, which `read_table` tells


def read_long_file(
    path: Path, source: str, column_map: ColumnMap
) -> Iterator[tuple[str, RawTable]]:
    """A table for each market that a column of the file names, one at a time, with its name.

    Raises:
        UnreadableBarsFile: the file is no table, is too large even so, or is not one of several
            markets.
        NamelessRows: a row does not say which market it is of.
    """
    lines: dict[str, list[str]] = {}
    numbers: dict[str, array[int]] = {}
    nameless: list[int] = []
    characters = 0
    with reading(source, "CSV file in UTF-8"), open_text(path) as stream:
        head = list(islice(stream, _HEAD_LINES))
        table = text_table("".join(head), source)
        columns = find_columns([str(n) for n in table.frame.columns], column_map, source)
        if columns.symbol is None:
            raise too_large(source)
        n_header = table.frame.index[0] - 1
        for number, line in enumerate(chain(head[n_header:], stream), n_header + 1):
            characters += len(line)
            if characters > MAX_LONG_FILE_CHARACTERS:
                raise too_large(source, MAX_LONG_FILE_CHARACTERS)
            if line.isspace():
                continue
            market = _field(line, table.delimiter, columns.symbol)
            if market.lower() in EMPTY:
                nameless.append(number)
                continue
            if market not in lines:
                lines[market], numbers[market] = [], array("q")
            lines[market].append(line)
            numbers[market].append(number)
    refuse_nameless(nameless, table.place, str(table.frame.columns[columns.symbol]), source)
    header = "".join(head[:n_header])
    for market in sorted(lines):
        text = header + "".join(lines.pop(market))
        found_at = [*range(1, n_header + 1), *numbers.pop(market)]
        yield market, text_table(text, source, found_at)


def _field(line: str, delimiter: str, at: int) -> str:
    """A field of a line; empty where the line ends before it."""
    fields = next(csv.reader([line], delimiter=delimiter)) if '"' in line else line.split(delimiter)
    return fields[at].strip() if at < len(fields) else ""

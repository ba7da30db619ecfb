"""Reading columns of numbers as people and programs write them, never by guessing.

`1,234` may be one thousand and more, or one and a bit. Which mark is the decimal one is decided
once for a whole file, by all of its numbers; where they leave it open, the file is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

EMPTY = ("", "null")
"""Cells that stand for nothing; Yahoo once wrote the word on days without trading."""

DecimalMark = Literal[".", ","]

_MARKS: tuple[DecimalMark, DecimalMark] = (".", ",")
_THOUSANDS = {".": ",", ",": "."}
_CURRENCY = re.compile(r"[$€£¥]")
_GROUP_BLANK = re.compile("(?<=\\d)[ \u00a0\u202f'’](?=\\d{3}(?!\\d))")  # 1 234 567, 1'234
_MAGNITUDES = {"": 0, "K": 3, "M": 6, "B": 9, "T": 12}


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """Columns of numbers, and how they were written."""

    columns: dict[str, pd.Series]
    """Float64; NaN where a cell is empty or no number."""
    notes: tuple[str, ...] = ()
    """How they were written where it was not plainly."""
    doubtful: tuple[str, ...] = ()
    """Cells that are two different numbers, where nothing in the file decides between them."""


def read_numbers(columns: Mapping[str, pd.Series], *, plain_first: bool) -> Numbers:
    """Read the columns of one file, all by the same rule.

    Plain numbers (1234.5, 1e3) are tried first where `plain_first`. In files whose fields are split
    by semicolons or tabs a point alone proves nothing: programs that write a decimal comma write
    such files.
    """
    plain = {name: _plain(cells) for name, cells in columns.items()}
    plain_failed = _failed(columns, plain)
    if not plain_failed and (plain_first or not any(_holds_point(c) for c in columns.values())):
        return Numbers(columns=plain)
    marked = {mark: _marked(columns, mark) for mark in _MARKS}
    failed = {mark: _failed(columns, marked[mark]) for mark in _MARKS}
    complete = [mark for mark in _MARKS if not failed[mark]]
    if len(complete) == len(_MARKS):
        differing = _differing(columns, marked)
        if differing:
            return Numbers(columns=plain, doubtful=differing)
    if complete:
        mark = complete[0]
        return Numbers(columns=marked[mark], notes=_notes(columns, mark))
    best = min(_MARKS, key=lambda mark: failed[mark])
    cells = sum(len(column) for column in columns.values())
    # A few bad cells among plain ones are shown as such, whatever they might be elsewhere.
    return Numbers(columns=plain if plain_failed <= cells // 2 else marked[best])


def is_empty(cells: pd.Series) -> pd.Series:
    """Where a column holds nothing."""
    return cells.isna() | cells.astype(str).str.strip().str.lower().isin(EMPTY)


def unread(values: pd.Series, cells: pd.Series) -> pd.Series:
    """The cells that hold something of which no value came; most often none."""
    left = cells[values.isna()]
    return left[~is_empty(left)] if len(left) else left


def number_of(text: str, decimal: DecimalMark) -> float:
    """The number that a text is with this decimal mark, NaN if it is none.

    Thousands may be marked, by the other mark in groups of three or by a blank or an apostrophe; a
    currency sign is left out; K, M, B and T multiply.
    """
    match = _PATTERNS[decimal].fullmatch(_GROUP_BLANK.sub("", _CURRENCY.sub("", text)).strip())
    if match is None:
        return np.nan
    digits = match["digits"].replace(_THOUSANDS[decimal], "").replace(decimal, ".")
    exponent = int(match["exponent"] or 0) + _MAGNITUDES[(match["magnitude"] or "").upper()]
    return float(f"{match['sign']}{digits}e{exponent}")


def _pattern(decimal: DecimalMark) -> re.Pattern[str]:
    point, comma = re.escape(decimal), re.escape(_THOUSANDS[decimal])
    whole = rf"\d+|[1-9]\d{{0,2}}(?:{comma}\d{{3}})+"
    return re.compile(
        rf"(?P<sign>[+-]?)(?P<digits>(?:{whole})(?:{point}\d*)?|{point}\d+)"
        r"(?:[eE](?P<exponent>[+-]?\d{1,3}))?(?P<magnitude>[KMBTkmbt]?)"
    )


_PATTERNS = {mark: _pattern(mark) for mark in _MARKS}


def _plain(cells: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(cells.dtype):
        numbers = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = np.array([_plain_number(str(cell)) for cell in cells], dtype=np.float64)
    return pd.Series(numbers, index=cells.index)


def _plain_number(text: str) -> float:
    try:
        # float() would take 1_000 for 1000.
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


def _marked(columns: Mapping[str, pd.Series], decimal: DecimalMark) -> dict[str, pd.Series]:
    return {
        name: _plain(cells)
        if pd.api.types.is_numeric_dtype(cells.dtype)
        else pd.Series(
            np.array([number_of(str(cell), decimal) for cell in cells], dtype=np.float64),
            index=cells.index,
        )
        for name, cells in columns.items()
    }


def _failed(columns: Mapping[str, pd.Series], read: Mapping[str, pd.Series]) -> int:
    """How many cells hold something that was not read."""
    return sum(len(unread(read[name], cells)) for name, cells in columns.items())


def _differing(
    columns: Mapping[str, pd.Series], marked: Mapping[DecimalMark, Mapping[str, pd.Series]]
) -> tuple[str, ...]:
    """The first cell of each column that the two marks make two numbers of."""
    shown = []
    for name, cells in columns.items():
        first, second = (marked[mark][name].to_numpy() for mark in _MARKS)
        different: npt.NDArray[np.intp] = np.flatnonzero(
            (first != second) & ~(np.isnan(first) & np.isnan(second))
        )
        if len(different):
            at = different[0]
            values = " or ".join(f"{value:g}" for value in sorted((first[at], second[at])))
            shown.append(f"{name} {str(cells.iloc[at])!r} could be {values}")
    return tuple(shown)


def _holds_point(cells: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return False
    return bool(cells.astype(str).str.contains(".", regex=False).any())


def _notes(columns: Mapping[str, pd.Series], mark: DecimalMark) -> tuple[str, ...]:
    texts = [c.astype(str) for c in columns.values() if not pd.api.types.is_numeric_dtype(c.dtype)]
    notes = ["decimal comma"] if mark == "," else []
    if any(text.str.contains(r"\d[KMBT]\s*$", case=False).any() for text in texts):
        notes.append("numbers such as 1.23M read as rounded")
    return tuple(notes)

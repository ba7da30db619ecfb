"""The bars of one market: one row a day, from an embedded index or from a user's file.

Whether the bars make sense is decided in `checks`; here they are only found, read and typed.
"""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlproject.data.bar_columns import REQUIRED_COLUMNS, Places, parse_columns
from mlproject.data.bar_files import RawTable, ending_of, read_table
from mlproject.data.column_map import ColumnMap
from mlproject.errors import UserError

EMBEDDED: Mapping[str, tuple[str, ...]] = {
    "sp500": ("sp500",),
    "nasdaq": ("nasdaq",),
    "us_indices": ("nasdaq", "sp500"),
}
"""Data that the package `arch` ships, daily bars from 1999 to 2018: the markets of each name."""

__all__ = [
    "EMBEDDED",
    "REQUIRED_COLUMNS",
    "Bars",
    "SampleNotInstalled",
    "bars_of_table",
    "digest_of",
    "load_bars",
]


class SampleNotInstalled(UserError):
    """The package that ships the embedded bars is not there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bars:
    """Daily bars of one market. Raises ValueError if the frame is not what is promised below."""

    name: str
    """What reports call the market: 'sp500', the stem of the file, or the symbol in a file of
    several."""

    source: str
    """Where the bars come from: 'arch.data.sp500' or the path as the user gave it."""

    frame: pd.DataFrame
    """`REQUIRED_COLUMNS` in that order, RangeIndex; date datetime64[us] at midnight, else float64.

    The close is used as it stands: not adjusted for dividends or splits.
    """

    digest: str
    """16 hex digits that follow from the numbers alone, the same for CSV and Parquet."""

    source_shape: str = "bars of no file"
    """What was understood of the file, in one line such as 'Stooq, newest first turned round,
    5,031 rows'."""

    has_volume: bool = True
    """False for a market without volume, such as a currency: it is then 0 in every row."""

    places: Places | None = None
    """Where each row stands in the file; None for bars of no file."""

    unfinished_time: str = ""
    """Of a last row that is no whole day: its time of day, which no other row has."""

    def __post_init__(self) -> None:
        types = [str(dtype) for dtype in self.frame.dtypes]
        if tuple(self.frame.columns) != REQUIRED_COLUMNS:
            raise ValueError(f"columns must be {REQUIRED_COLUMNS}, not {tuple(self.frame.columns)}")
        if types != ["datetime64[us]"] + ["float64"] * 5:
            raise ValueError(f"date must be datetime64[us] and the rest float64, not {types}")
        if not self.frame.index.equals(pd.RangeIndex(len(self.frame))):
            raise ValueError("the index must count the rows from 0")

    @property
    def to_check(self) -> pd.DataFrame:
        """The frame as checks take it: where there is no volume, none of them can fail for it."""
        return self.frame if self.has_volume else self.frame.assign(volume=1.0)


def load_bars(source: str, columns: ColumnMap | None = None) -> Bars:
    """Bars of one market: of 'sp500' or 'nasdaq' (1999-01-04 to 2018-12-31), or of a file.

    A file is text or Parquet, from any source of `mlproject.data.bar_shapes` or of plain columns:
    their names in any case, the date a column or the index. For others `columns` says which column
    is which: required names to names of the file, and ``{"volume": None}`` that there is no volume.
    Other columns are ignored (a log message of level INFO names them). A file with its newest day
    first is turned round, and days whose prices are all `null` are left out; nothing else is
    sorted, filled or dropped.

    >>> from mlproject import load_bars
    >>> bars = load_bars("sp500")
    >>> bars.frame[["date", "close", "volume"]].head(2)
            date        close       volume
    0 1999-01-04  1228.099976  877000000.0
    1 1999-01-05  1244.780029  775000000.0

    Raises a `UserError`: one of `mlproject.data.bar_files` or of `parse_columns`.
    """
    if EMBEDDED.get(source) == (source,):
        path, source, name = _embedded_path(source), f"arch.data.{source}", source
        return bars_of_table(name, source, read_table(path, source), columns)
    stem = Path(source).name[: -len(ending_of(source))]
    return bars_of_table(stem, source, read_table(Path(source), source), columns)


def digest_of(frame: pd.DataFrame) -> str:
    """The first 16 hex digits of the SHA-256 of a frame of bars, column by column."""
    sha = hashlib.sha256()
    sha.update(frame["date"].to_numpy("datetime64[D]").astype("<i8").tobytes())
    for column in REQUIRED_COLUMNS[1:]:
        # Adding 0.0 makes -0.0 the 0.0 that it equals.
        sha.update((frame[column].to_numpy(np.float64) + 0.0).astype("<f8").tobytes())
    return sha.hexdigest()[:16]


def bars_of_table(name: str, source: str, table: RawTable, columns: ColumnMap | None) -> Bars:
    """The bars of a table of one market; raises what `parse_columns` does."""
    read = parse_columns(table, source, columns)
    return Bars(
        name=name,
        source=source,
        frame=read.frame,
        digest=digest_of(read.frame),
        source_shape=read.source_shape,
        has_volume=read.has_volume,
        places=read.places,
        unfinished_time=read.unfinished_time,
    )


def _embedded_path(market: str) -> Path:
    # The file is read where it lies: importing `arch` itself takes statsmodels and seconds.
    spec = importlib.util.find_spec("arch")
    if spec is None or spec.origin is None:
        raise SampleNotInstalled(
            f"{market}: the package 'arch', which ships these bars, is not installed; "
            "install what conda.yaml lists or give a file of your own"
        )
    return Path(spec.origin).parent / "data" / market / f"{market}.csv.gz"

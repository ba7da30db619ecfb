"""The shapes in which bars come: which column of which source is what.

To have one more source read, add a row to `SHAPES`; one whose files have no header line, to
`mlproject.data.bar_headers.HEADERLESS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlproject.data.column_map import EXAMPLE, REQUIRED_COLUMNS, BadColumnMap, ColumnMap
from mlproject.errors import UserError

SYMBOL_COLUMNS = ("<ticker>", "<symbol>", "ticker", "symbol", "name")
"""Columns that say which market a row is of."""

ADJUSTED_CLOSES = ("adj close", "adj. close", "adj_close", "adjusted_close", "5. adjusted close")
"""Closes adjusted for dividends beside the plain one. Open, high and low are not adjusted with
them, so the plain one is read."""


class MissingColumns(UserError):
    """The file lacks columns that every bar needs."""


class AmbiguousColumns(UserError):
    """Two columns of the file are the same but for case and blanks."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The columns of one source, in lower case."""

    name: str
    date: str = "date"
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: tuple[str, ...] = ("volume",)
    """In order of preference: one that is 0 all along is passed over."""
    decimal_point: bool = False
    """Whether its numbers have a decimal point in every language and with every delimiter."""
    mark: str | None = None
    """A further column, without which the file is of another source."""

    def column(self, name: str) -> tuple[str, ...]:
        """The names that a required column may have."""
        return self.volume if name == "volume" else (getattr(self, name),)


PLAIN = Shape(name="plain columns")

SHAPES = (
    Shape(name="Yahoo Finance", mark="adj close"),
    PLAIN,
    Shape(
        name="Stooq",
        date="<date>",
        open="<open>",
        high="<high>",
        low="<low>",
        close="<close>",
        volume=("<vol>",),
        mark="<per>",
    ),
    Shape(
        name="MetaTrader",
        date="<date>",
        open="<open>",
        high="<high>",
        low="<low>",
        close="<close>",
        # Brokers of currencies know the number of ticks alone.
        volume=("<vol>", "<tickvol>"),
        decimal_point=True,
    ),
    Shape(name="Investing.com", close="price", volume=("vol.",)),
    Shape(name="Nasdaq.com", close="close/last"),
    Shape(name="Alpha Vantage", date="timestamp"),
    *[
        Shape(
            name="Alpha Vantage",
            open="1. open",
            high="2. high",
            low="3. low",
            close="4. close",
            volume=(volume,),
        )
        for volume in ("5. volume", "6. volume")
    ],
    Shape(name="TradingView", date="time"),
    Shape(name="Twelve Data", date="datetime", decimal_point=True),
    Shape(name="klines of an exchange", date="open_time"),
)
"""A file is of the first of these whose columns it has."""


@dataclass(frozen=True, kw_only=True)
class FoundColumns:
    """Where a file's columns are."""

    shape: Shape
    positions: dict[str, int]
    """Of each required column but volume."""
    volumes: tuple[int, ...]
    """Positions of the columns that may be the volume, in order of preference; none where the
    market has no volume."""
    symbol: int | None
    """Position of the column that names the market."""
    adjusted_close: int | None
    """Position of a close adjusted for dividends that is not the close read."""


def find_columns(found: Sequence[str], column_map: ColumnMap, source: str) -> FoundColumns:
    """Find the required columns among the names `found`, the mapped ones where the map says.

    Raises `MissingColumns`, `AmbiguousColumns` or `BadColumnMap`.
    """
    names = [name.strip().lower() for name in found]
    for column, name in column_map.items():
        if name is not None and name.strip().lower() not in names:
            raise BadColumnMap(
                f"{source}: columns={column}={name}: there is no column {name!r}; "
                f"found {_shown(found)}"
            )
    wanted = {
        column: () if name is None else (name.strip().lower(),)
        for column, name in column_map.items()
    }
    shape, names = _shape_of(found, names, wanted, source)
    alternatives = {column: shape.column(column) for column in REQUIRED_COLUMNS} | wanted
    positions = {
        column: tuple(_position(name, column, found, names, source) for name in of_column)
        for column, of_column in (
            (column, [name for name in alternatives[column] if name in names])
            for column in REQUIRED_COLUMNS
        )
    }
    used = {position for of_column in positions.values() for position in of_column}
    return FoundColumns(
        shape=shape,
        positions={column: positions[column][0] for column in REQUIRED_COLUMNS[:-1]},
        volumes=positions["volume"],
        symbol=_first(SYMBOL_COLUMNS, names, used),
        adjusted_close=_first(ADJUSTED_CLOSES, names, used),
    )


def _shape_of(
    found: Sequence[str], names: list[str], wanted: Mapping[str, tuple[str, ...]], source: str
) -> tuple[Shape, list[str]]:
    """The shape of a file with these columns, and the names by which it is read."""
    readings = [names]
    if "date" not in names and "" in names:
        # An index that was written without a name: pandas does so for a date index.
        unnamed = names.index("")
        readings.append([*names[:unnamed], "date", *names[unnamed + 1 :]])
    for reading in readings:
        for shape in SHAPES:
            if not _lacking(shape, reading, wanted) and shape.mark in (None, *reading):
                return shape, reading
    nearest = min(
        (PLAIN, *SHAPES), key=lambda shape: len(_lacking(shape, readings[-1], wanted)) > 1
    )
    missing = _lacking(nearest, readings[-1], wanted)
    why = " (features such as OBV and VWAP need it; volume=none goes without them)" * (
        missing == ["volume"]
    )
    raise MissingColumns(
        f"{source}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}{why}; "
        f"found {_shown(found)}; rename or add columns (upper or lower case is the same), or say "
        f"which is which, as in {EXAMPLE}"
    )


def _lacking(
    shape: Shape, names: Sequence[str], wanted: Mapping[str, tuple[str, ...]]
) -> list[str]:
    return [
        column
        for column in REQUIRED_COLUMNS
        if column not in wanted and not set(shape.column(column)) & set(names)
    ]


def _position(
    name: str, column: str, found: Sequence[str], names: Sequence[str], source: str
) -> int:
    if names.count(name) > 1:
        same = [repr(f) for f, n in zip(found, names, strict=True) if n == name]
        raise AmbiguousColumns(
            f"{source}: columns {' and '.join(same)} are both '{column}'; keep one of them"
        )
    return names.index(name)


def _first(wanted: Sequence[str], names: Sequence[str], used: set[int]) -> int | None:
    positions = (names.index(name) for name in wanted if name in names)
    return next((position for position in positions if position not in used), None)


def _shown(found: Sequence[str]) -> str:
    # A name may hold a line break, and a file that is no table has a very long first line.
    return " ".join(", ".join(found).split())[:300]

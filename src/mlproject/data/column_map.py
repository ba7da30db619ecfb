"""What a user writes to say which column of a file is which."""

from collections.abc import Mapping

from mlproject.errors import UserError

REQUIRED_COLUMNS = ("date", "open", "high", "low", "close", "volume")

ColumnMap = Mapping[str, str | None]
"""Which column of a file is which: required names to names of the file. None, which only `volume`
may be, says that the market has none: an index, a currency."""

EXAMPLE = "columns=close=Last,date=Day"


class BadColumnMap(UserError):
    """A column map that cannot be read, or that does not fit the file."""


def parse_column_map(text: str, *, volume: bool = True) -> dict[str, str | None]:
    """The column map of a text such as ``close=Last,date=Day``; an empty text is an empty map.

    Without `volume` it also says that there is none.

    Raises:
        BadColumnMap: says which part cannot be read.
    """
    found: dict[str, str | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        column, equals, name = (piece.strip() for piece in part.partition("="))
        column = column.lower()
        if not (equals and name):
            raise BadColumnMap(f"columns: {part!r} is no name=column; write such as {EXAMPLE}")
        if column not in REQUIRED_COLUMNS:
            raise BadColumnMap(
                f"columns: {column!r} is none of {', '.join(REQUIRED_COLUMNS)}; "
                f"write such as {EXAMPLE}"
            )
        if column in found:
            raise BadColumnMap(f"columns: {column} is given twice")
        found[column] = name
    if not volume:
        if "volume" in found:
            raise BadColumnMap("columns: volume is named, and volume=none says there is none")
        found["volume"] = None
    return found

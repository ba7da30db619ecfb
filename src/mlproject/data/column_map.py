"""What a user writes to say which column of a file is which."""

from mlproject.errors import UserError

REQUIRED_COLUMNS = ("date", "open", "high", "low", "close", "volume")

EXAMPLE = "columns=close=Last,date=Day"


class BadColumnMap(UserError):
    """A column map that cannot be read, or that does not fit the file."""


def parse_column_map(text: str) -> dict[str, str]:
    """The column map of a text such as ``close=Last,date=Day``; an empty text is an empty map.

    Raises:
        BadColumnMap: says which part cannot be read.
    """
    found: dict[str, str] = {}
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
    return found

"""Which market the bars of a file are of, where the file says so: in its header or in a column."""

from mlproject.data.bar_files import RawTable
from mlproject.data.bar_numbers import is_empty
from mlproject.data.bar_shapes import FoundColumns
from mlproject.errors import UserError

_SHOWN = 5


class SeveralMarkets(UserError):
    """The file holds the bars of more than one market."""


def market_column(table: RawTable, columns: FoundColumns) -> tuple[str, ...]:
    """The markets that a column of the file names, in its order."""
    if columns.symbol is None:
        return ()
    cells = table.frame.iloc[:, columns.symbol]
    return tuple(dict.fromkeys(str(cell).strip() for cell in cells[~is_empty(cells)].unique()))


def one_market(symbols: tuple[str, ...], source: str) -> str:
    """The market among those that the file names; empty where it names none."""
    if len(symbols) > 1:
        shown = ", ".join(symbols[:_SHOWN]) + ", …" * (len(symbols) > _SHOWN)
        raise SeveralMarkets(
            f"{source}: holds the bars of {len(symbols):,} markets ({shown[:200]}); "
            "give a file with the bars of one of them"
        )
    return "".join(symbols)

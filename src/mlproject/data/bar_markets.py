"""Which market the bars of a file are of, where the file says so: in its header or in a column.

A file of several markets is taken apart into one table for each.
"""

from dataclasses import replace

import numpy as np

from mlproject.data.bar_files import RawTable
from mlproject.data.bar_numbers import is_empty
from mlproject.data.bar_shapes import FoundColumns, find_columns
from mlproject.data.column_map import ColumnMap
from mlproject.errors import UserError
from mlproject.text.phrases import counted

_SHOWN = 5
_ROWS_SHOWN = 3


class SeveralMarkets(UserError):
    """The file holds the bars of more than one market."""


class NamelessRows(UserError):
    """Rows of a file of several markets do not say which one they are of."""


def one_market(table: RawTable, columns: FoundColumns | None, source: str) -> str:
    """The market that the file names; empty where it names none.

    Raises:
        SeveralMarkets: it names more than one.
    """
    markets = _markets(table, columns)
    if len(markets) > 1:
        shown = ", ".join(markets[:_SHOWN]) + ", …" * (len(markets) > _SHOWN)
        raise SeveralMarkets(
            f"{source}: holds the bars of {len(markets):,} markets ({shown[:200]}); "
            "give a file with the bars of one of them"
        )
    return "".join(markets)


def split_by_market(table: RawTable, column_map: ColumnMap, source: str) -> dict[str, RawTable]:
    """A table for each market of a table, by name; one that names no market is given back whole.

    Of two levels of columns, which pandas fills up to the days of all markets, each market keeps
    the rows in which it has anything.

    Raises:
        NamelessRows: the file has several markets, and rows without one.
    """
    markets = tuple(dict.fromkeys(filter(None, table.symbols)))
    if len(markets) > 1:
        return {market: _columns_of(table, market) for market in markets}
    columns = find_columns([str(name) for name in table.frame.columns], column_map, source)
    markets = _markets(table, columns)
    if len(markets) <= 1 or columns.symbol is None:
        return {"".join(markets): table}
    cells = table.frame.iloc[:, columns.symbol]
    refuse_nameless(list(cells.index[is_empty(cells)]), table.place, str(cells.name), source)
    names = cells.astype(str).str.strip()
    return {
        str(market): replace(table, frame=of_market)
        for market, of_market in table.frame.groupby(names, sort=False)
    }


def refuse_nameless(rows: list[int], place: str, column: str, source: str) -> None:
    """Raise `NamelessRows` for the rows of a file, as a reader counts them, if there are any."""
    if rows:
        shown = ", ".join(map(str, rows[:_ROWS_SHOWN])) + ", …" * (len(rows) > _ROWS_SHOWN)
        raise NamelessRows(
            f"{source}: column {column}: {counted(len(rows), 'row')} without a market: "
            f"{place}{'s' * (len(rows) > 1)} {shown}; say of each row which market it is of"
        )


def _markets(table: RawTable, columns: FoundColumns | None) -> tuple[str, ...]:
    """The markets that the header or a column of the file names, in its order."""
    if any(table.symbols):
        return tuple(dict.fromkeys(filter(None, table.symbols)))
    if columns is None or columns.symbol is None:
        return ()
    cells = table.frame.iloc[:, columns.symbol]
    return tuple(dict.fromkeys(str(cell).strip() for cell in cells[~is_empty(cells)].unique()))


def _columns_of(table: RawTable, market: str) -> RawTable:
    kept = [at for at, symbol in enumerate(table.symbols) if symbol in ("", market)]
    symbols = tuple(table.symbols[at] for at in kept)
    frame = table.frame.iloc[:, kept]
    empty = [is_empty(frame.iloc[:, at]).to_numpy() for at, symbol in enumerate(symbols) if symbol]
    return replace(table, frame=frame.loc[~np.logical_and.reduce(empty)], symbols=symbols)

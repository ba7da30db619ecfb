"""Loading the markets of a study: each is read, checked, and used, refused or left out."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from tqdm import tqdm

from mlproject.data.bar_files import RawTable, ending_of, read_table
from mlproject.data.bar_limits import MIN_ROWS
from mlproject.data.bar_markets import split_by_market
from mlproject.data.bar_rules import broken_rules
from mlproject.data.bars import EMBEDDED, Bars, bars_of_table, load_bars
from mlproject.data.bars_cache import FileMarkets, entry_of, load_entry, store_entry
from mlproject.data.checks import check_bars
from mlproject.data.column_map import ColumnMap
from mlproject.data.long_files import is_long, read_long_file
from mlproject.data.market_files import MarketFiles, find_market_files
from mlproject.data.markets import Markets
from mlproject.errors import UserError
from mlproject.text.phrases import counted

BadMarkets = Literal["refuse", "leave_out"]
"""What is done about a market that cannot be used, where there are others."""

_SHOWN = 3

_T = TypeVar("_T")


class UnusableMarkets(UserError):
    """Some of the markets cannot be used."""


class SameMarketTwice(UserError):
    """Two files are of markets with the same name."""


def load_markets(
    source: str,
    columns: ColumnMap | None = None,
    *,
    bad_markets: BadMarkets = "refuse",
) -> Markets:
    """The markets of a source, read and checked.

    The source is one that `load_bars` takes; ``us_indices`` (S&P 500 and Nasdaq); a folder, with a
    file for each market in it or in its folders; a pattern of such files, such as
    ``data/*.csv``; or a file of several markets, with a column of their symbols or two levels of
    columns. A market is called by the stem of its file, or by its symbol.

    >>> from mlproject import load_markets
    >>> markets = load_markets("us_indices")
    >>> [bars.name for bars in markets.each], markets.rows
    (['nasdaq', 'sp500'], 10062)

    Args:
        source: as above.
        columns: as for `load_bars`, the same for all files.
        bad_markets: ``leave_out`` goes on without markets that cannot be used.

    Raises:
        UserError: one of its kinds: there is nothing to read, a market cannot be used, or two have
            one name.
    """
    columns = columns or {}
    if source in EMBEDDED:
        bars = tuple(load_bars(name) for name in EMBEDDED[source])
        for each in bars:
            check_bars(each)
        return Markets(name=source, source=source, each=bars)
    files = find_market_files(source)
    if files is not None:
        return _load_files(source, files, columns, bad_markets)
    path = Path(source)
    stem = path.name[: -len(ending_of(source))]
    if is_long(path):
        tables: Iterable[tuple[str, RawTable]] = read_long_file(path, source, columns)
    else:
        split = split_by_market(read_table(path, source), columns, source)
        if len(split) == 1:
            (table,) = split.values()
            alone = bars_of_table(stem, source, table, columns)
            check_bars(alone)
            return Markets(name=stem, source=source, each=(alone,))
        tables = split.items()
    found = _cached(path, source, columns, partial(_read_tables, source, tables, columns))
    return _chosen(stem, source, found, bad_markets)


def _load_files(
    source: str, files: MarketFiles, columns: ColumnMap, bad_markets: BadMarkets
) -> Markets:
    bars: list[Bars] = []
    bad: dict[str, str] = {}
    paths: dict[str, Path] = {}
    for path in _with_progress(files.paths):
        name = path.name[: -len(ending_of(path.name))]
        if name in paths:
            raise SameMarketTwice(
                f"{source}: two markets are called {name}: {paths[name]} and {path}; rename one of "
                "them or leave it out"
            )
        paths[name] = path
        found = _cached(path, str(path), columns, partial(_read_file, name, path, columns))
        bars.extend(found.bars)
        bad |= found.bad
    return _chosen(
        files.name,
        source,
        FileMarkets(bars=tuple(bars), bad=bad),
        bad_markets,
        notes=tuple(filter(None, [files.note])),
    )


def _cached(
    path: Path, source: str, columns: ColumnMap, read: Callable[[], FileMarkets]
) -> FileMarkets:
    try:
        entry = entry_of(path, source, columns)
    except OSError:
        return read()  # which says what is wrong with the file
    kept = load_entry(entry)
    if kept is None:
        kept = read()
        store_entry(entry, kept)
    return kept


def _read_file(name: str, path: Path, columns: ColumnMap) -> FileMarkets:
    source = str(path)
    try:
        bars = bars_of_table(name, source, read_table(path, source), columns)
        _check(bars)
    except UserError as error:
        return FileMarkets(bars=(), bad={name: str(error)})
    return FileMarkets(bars=(bars,), bad={})


def _read_tables(
    source: str, tables: Iterable[tuple[str, RawTable]], columns: ColumnMap
) -> FileMarkets:
    bars: list[Bars] = []
    bad: dict[str, str] = {}
    for name, table in _with_progress(tables):
        try:
            each = bars_of_table(name, f"{source} ({name})", table, columns)
            _check(each)
            bars.append(each)
        except UserError as error:
            bad[name] = str(error)
    return FileMarkets(bars=tuple(bars), bad=bad)


def checked_markets(data: Markets | Bars | str) -> Markets:
    """The markets of a source, see `load_markets`, or those given; bars are checked first.

    Raises:
        UserError: one of its kinds: as for `load_markets`, or `BadBars`.
    """
    if isinstance(data, str):
        return load_markets(data)
    if isinstance(data, Bars):
        check_bars(data)
    return Markets.of(data)


def _with_progress(markets: Iterable[_T]) -> Iterable[_T]:
    return tqdm(markets, desc="reading markets", unit=" markets", disable=None, leave=False)


def _check(bars: Bars) -> None:
    """As `check_bars`, which is only asked for its words where something is wrong."""
    if len(bars.frame) < MIN_ROWS or broken_rules(bars.to_check, bars.unfinished_time):
        check_bars(bars)


def _chosen(
    name: str,
    source: str,
    found: FileMarkets,
    bad_markets: BadMarkets,
    notes: tuple[str, ...] = (),
) -> Markets:
    if found.bad and (bad_markets == "refuse" or not found.bars):
        reasons = [found.bad[market] for market in sorted(found.bad)]
        if len(reasons) == 1 and not found.bars:
            raise UnusableMarkets(reasons[0])
        more = f"; and {len(reasons) - _SHOWN:,} more" if len(reasons) > _SHOWN else ""
        raise UnusableMarkets(
            f"{source}: {len(reasons):,} of {counted(len(reasons) + len(found.bars), 'market')} "
            f"cannot be used: {'; '.join(reasons[:_SHOWN])}{more}; repair them, or go on without "
            "them with bad_markets=leave_out"
        )
    return Markets(
        name=name,
        source=source,
        each=tuple(sorted(found.bars, key=lambda bars: bars.name)),
        left_out=found.bad,
        notes=notes,
    )

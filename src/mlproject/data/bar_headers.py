"""The names of a file's columns: from one header line, from the two or three of yfinance, or from
the form of the rows where a source writes no header at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PRICES = {"open", "high", "low", "close"}
_LEVEL_NAMES = ("", "price", "ticker", "date", "datetime")

_NUMBER = r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_EPOCH = r"\d{9,19}"
_DATE = r"\d{4}[-./]?\d{2}[-./]?\d{2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}"
_TIME = r"\d{1,2}:\d{2}(?::\d{2})?"
_VALUE = re.compile(rf"(?:{_NUMBER}|(?:{_DATE})(?:[ T]{_TIME})?|{_TIME})?")

_BAR = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, kw_only=True)
class Headerless:
    """A source whose files begin with the first bar: its rows are known by their form."""

    shape: str
    forms: tuple[str, ...]
    """A regular expression for each of the first columns."""
    names: tuple[str, ...]
    """Of all columns."""


HEADERLESS = (
    Headerless(
        shape="klines of an exchange, without header",
        forms=(_EPOCH, *[_NUMBER] * 5, _EPOCH),
        names=(
            *("open_time", *_BAR, "close_time", "quote_volume", "count"),
            *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
        ),
    ),
    Headerless(
        shape="bars of an exchange with their trades, without header",
        forms=(_EPOCH, *[_NUMBER] * 5, r"\d+"),
        names=("time", *_BAR, "trades"),
    ),
    Headerless(
        shape="MetaTrader 4, without header",
        forms=(r"\d{4}\.\d{2}\.\d{2}", _TIME, *[_NUMBER] * 5),
        names=("date", "time of day", *_BAR),
    ),
)
"""A row with one more source is all that it takes."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What the first lines of a file say of its columns."""

    names: tuple[str, ...]
    lines: int
    """How many lines the header takes, from none to three."""
    shape: str = ""
    """The source, where the form of the header tells it."""
    symbols: tuple[str, ...] = ()
    """(columns,): the market that each column is of, empty where it is of none; () where no column
    names one."""


def read_header(lines: Sequence[Sequence[str]]) -> Header | None:
    """The header in the first lines of a file; None if there is none and the form is not known."""
    first = lines[0]
    if _PRICES & {cell.strip().lower() for line in lines[:2] for cell in line}:
        return _stacked(lines) or Header(names=tuple(first), lines=1)
    if any(first) and all(_VALUE.fullmatch(cell.strip()) for cell in first):
        return _headerless(first)
    return Header(names=tuple(first), lines=1)


def header_of_levels(levels: Sequence[Sequence[object]]) -> Header | None:
    """One name per column from yfinance's two levels, prices and tickers, in either order.

    None if the levels are not these.
    """
    if len(levels) != 2:
        return None
    texts = [[str(cell).strip() for cell in level] for level in levels]
    for prices, tickers in (texts, texts[::-1]):
        named = [cell.lower() in _LEVEL_NAMES for cell in prices]
        symbols = ["" if is_name else t for t, is_name in zip(tickers, named, strict=True)]
        unnamed = any(not s and not is_name for s, is_name in zip(symbols, named, strict=True))
        numbers = any(re.fullmatch(_NUMBER, symbol) for symbol in symbols)
        if {cell.lower() for cell in prices} >= _PRICES and not unnamed and not numbers:
            return Header(
                names=tuple(prices),
                lines=0,
                shape="yfinance",
                symbols=tuple(symbols),
            )
    return None


def _stacked(lines: Sequence[Sequence[str]]) -> Header | None:
    """The header of a table with two levels of columns, as pandas writes it to CSV.

    Prices and tickers take a line each; a third, which names the index, may follow.
    """
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        return None
    if any(cells[0].strip().lower() not in _LEVEL_NAMES for cells in lines[:2]):
        return None
    found = header_of_levels([cells[1:] for cells in lines[:2]])
    if found is None:
        return None
    third = lines[2] if len(lines) > 2 else [""]
    # A day without prices looks the same, but for its date.
    named = not any(third[1:]) and not _VALUE.fullmatch(third[0].strip())
    names = [cells[0].strip() for cells in lines[:2] if cells[0].strip().lower().startswith("date")]
    index = third[0] if named else (names or [""])[0]
    return Header(
        names=(index, *found.names),
        lines=3 if named else 2,
        shape=found.shape,
        symbols=("", *found.symbols),
    )


def _headerless(first: Sequence[str]) -> Header | None:
    for known in HEADERLESS:
        if len(first) == len(known.names) and all(
            re.fullmatch(form, cell.strip()) for form, cell in zip(known.forms, first, strict=False)
        ):
            return Header(names=known.names, lines=0, shape=known.shape)
    return None

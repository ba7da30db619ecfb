"""Bars written as widely used sources write them, each a function from a frame to a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

PRICES = ["open", "high", "low", "close"]
TITLES = {name: name.title() for name in ("date", *PRICES, "volume")}

Write = Callable[[pd.DataFrame, Path], None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of bars, and what is understood of its files."""

    file: str
    write: Write
    said: str
    rounded: bool = False
    """Whether prices are written with two decimals and volumes with three digits."""

    def written(self, frame: pd.DataFrame, folder: Path) -> Path:
        """The path of the frame's file."""
        path = folder / self.file
        self.write(frame, path)
        return path


def _csv(change: Callable[[pd.DataFrame], pd.DataFrame], **how: object) -> Write:
    def write(frame: pd.DataFrame, path: Path) -> None:
        change(frame).to_csv(path, index=False, **how)  # type: ignore[call-overload]

    return write


def yfinance(frame: pd.DataFrame, *, tickers: tuple[str, ...] = ("^GSPC",)) -> pd.DataFrame:
    """What `yfinance.download` returns: the date as index, columns by price and ticker."""
    indexed = frame.rename(columns=TITLES).set_index("Date")
    prices = ["Close", "High", "Low", "Open", "Volume"]
    columns = pd.MultiIndex.from_product([prices, tickers], names=["Price", "Ticker"])
    return pd.DataFrame({pair: indexed[pair[0]] for pair in columns}).set_axis(columns, axis=1)


def _yfinance_by_ticker(frame: pd.DataFrame) -> pd.DataFrame:
    return yfinance(frame).swaplevel(axis=1)


def _yahoo_old(frame: pd.DataFrame) -> pd.DataFrame:
    text = frame.rename(columns=TITLES).astype({"Volume": int}).astype(str)
    text.insert(5, "Adj Close", text["Close"])
    holiday = pd.DataFrame([dict.fromkeys(text.columns, "null") | {"Date": "1999-01-18"}])
    return pd.concat([text, holiday]).sort_values("Date")


def stooq(frame: pd.DataFrame) -> pd.DataFrame:
    """A file of Stooq's database."""
    return pd.DataFrame(
        {
            "<TICKER>": "^SPX",
            "<PER>": "D",
            "<DATE>": frame["date"].dt.strftime("%Y%m%d"),
            "<TIME>": "000000",
            **{f"<{price.upper()}>": frame[price] for price in PRICES},
            "<VOL>": frame["volume"].astype(int),
            "<OPENINT>": 0,
        }
    )


def metatrader(frame: pd.DataFrame, *, real_volume: bool = False) -> pd.DataFrame:
    """What MetaTrader 5 exports; brokers of currencies know no real volume."""
    volume = frame["volume"].astype(int)
    return pd.DataFrame(
        {
            "<DATE>": frame["date"].dt.strftime("%Y.%m.%d"),
            **{f"<{price.upper()}>": frame[price] for price in PRICES},
            "<TICKVOL>": volume // 1000 if real_volume else volume,
            "<VOL>": volume if real_volume else 0,
            "<SPREAD>": 50,
        }
    )


def _metatrader_4(frame: pd.DataFrame) -> pd.DataFrame:
    dates = frame["date"].dt.strftime("%Y.%m.%d")
    return frame.assign(date=dates, volume=frame["volume"].astype(int)).pipe(
        lambda bars: bars.assign(time="00:00")[["date", "time", *PRICES, "volume"]]
    )


def _short(volume: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if volume >= size:
            return f"{volume / size:.2f}{letter}"
    return f"{volume:.2f}"


def investing(frame: pd.DataFrame) -> pd.DataFrame:
    """What Investing.com exports."""
    change = frame["close"].pct_change().fillna(0)
    return pd.DataFrame(
        {
            "Date": frame["date"].dt.strftime("%m/%d/%Y"),
            **{
                title: frame[price].map("{:,.2f}".format)
                for title, price in zip(
                    ("Price", "Open", "High", "Low"), ("close", "open", "high", "low"), strict=True
                )
            },
            "Vol.": frame["volume"].map(_short),
            "Change %": change.map("{:.2%}".format),
        }
    ).iloc[::-1]


def _nasdaq(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Date": frame["date"].dt.strftime("%m/%d/%Y"),
            "Close/Last": frame["close"].map(_dollars),
            "Volume": frame["volume"].astype(int),
            **{price.title(): frame[price].map(_dollars) for price in PRICES[:3]},
        }
    ).iloc[::-1]


def _dollars(price: float) -> str:
    return f"${price:,}"


def _alpha_vantage(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"date": "timestamp"}).astype({"volume": int}).iloc[::-1]


def _alpha_vantage_json(frame: pd.DataFrame) -> pd.DataFrame:
    # A dictionary of days, made a frame: its index has no name.
    numbered = {name: f"{n}. {name}" for n, name in enumerate([*PRICES, "volume"], start=1)}
    return frame.rename(columns=numbered | {"date": ""}).astype({"5. volume": int}).iloc[::-1]


def _alpha_vantage_adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    numbered = {name: f"{n}. {name}" for n, name in enumerate(PRICES, start=1)}
    renamed = frame.rename(columns=numbered | {"volume": "6. volume"}).iloc[::-1]
    renamed.insert(5, "5. adjusted close", renamed["4. close"] * 0.9)
    return renamed.assign(**{"7. dividend amount": 0.0, "8. split coefficient": 1.0})


def _epoch(frame: pd.DataFrame, per_second: int, hour: int = 0) -> pd.Series:
    seconds = frame["date"].astype("datetime64[s]").astype("int64") + 3600 * hour
    return seconds * per_second


def tradingview(frame: pd.DataFrame) -> pd.DataFrame:
    """What TradingView exports: the time is that at which the session opens."""
    return frame.rename(columns={"date": "time", "volume": "Volume"}).assign(
        time=_epoch(frame, 1, hour=14)
    )


def _klines(per_second: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        day = 86400 * per_second
        opened = _epoch(frame, per_second)
        return pd.DataFrame(
            {
                "open_time": opened,
                **{price: frame[price] for price in PRICES},
                "volume": frame["volume"].map("{:.8f}".format),
                "close_time": opened + day - 1,
                "quote_volume": 1.5,
                "count": 7,
                "taker_buy_volume": 2.5,
                "taker_buy_quote_volume": 3.5,
                "ignore": 0,
            }
        )

    return change


def kaggle(frame: pd.DataFrame, *names: str, column: str = "Name") -> pd.DataFrame:
    """One long file, the market in a column of its own."""
    long = pd.concat([frame.assign(**{column: name}) for name in names])
    return long.astype({"volume": int})


def european(frame: pd.DataFrame) -> pd.DataFrame:
    """A spreadsheet where the decimal mark is a comma and the day comes first."""
    numbers = [*PRICES, "volume"]
    swapped = str.maketrans(",.", ".,")
    text = {
        name.title(): frame[name].map(lambda number: f"{number:,}".translate(swapped))
        for name in numbers
    }
    text["Volume"] = text["Volume"].str.removesuffix(",0")
    return pd.DataFrame({"Date": frame["date"].dt.strftime("%d/%m/%Y"), **text})


def _yfinance_csv(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Write:
    return lambda frame, path: change(frame).to_csv(path)


def _yfinance_rows(frame: pd.DataFrame, path: Path) -> None:
    yfinance(frame).reset_index().to_csv(path, index=False)


def _excel(frame: pd.DataFrame, path: Path) -> None:
    text = european(frame).to_csv(index=False, sep="\t")
    path.write_bytes(text.encode("utf-16"))


def _excel_with_delimiter(frame: pd.DataFrame, path: Path) -> None:
    path.write_text("sep=;\n" + european(frame).to_csv(index=False, sep=";"))


YFINANCE = "yfinance, market ^GSPC, 5,031 rows"
EUROPEAN = "plain columns, fields split by {}, dates dd/mm/yyyy, decimal comma, 5,031 rows"

SOURCES: dict[str, Source] = {
    "yfinance with three header rows": Source(
        file="a.csv", write=_yfinance_csv(yfinance), said=YFINANCE
    ),
    "yfinance with two header rows": Source(file="a.csv", write=_yfinance_rows, said=YFINANCE),
    "yfinance without the name of the index": Source(
        file="a.csv", write=_yfinance_csv(lambda f: yfinance(f).rename_axis(None)), said=YFINANCE
    ),
    "yfinance by ticker": Source(
        file="a.csv", write=_yfinance_csv(_yfinance_by_ticker), said=YFINANCE
    ),
    "an old yfinance": Source(
        file="a.csv",
        write=_yfinance_csv(lambda f: yfinance(f).rename_axis(columns=[None, None])),
        said=YFINANCE,
    ),
    "yfinance as Parquet": Source(
        file="a.parquet", write=lambda f, path: yfinance(f).to_parquet(path), said=YFINANCE
    ),
    "yfinance as Parquet with the date as a column": Source(
        file="a.parquet",
        write=lambda f, path: yfinance(f).reset_index().to_parquet(path),
        said=YFINANCE,
    ),
    "Yahoo with null": Source(
        file="a.csv",
        write=_csv(_yahoo_old),
        said="Yahoo Finance, 'Close' read and 'Adj Close' left out, 1 row of null left out, "
        "5,031 rows",
    ),
    "Stooq": Source(file="a.txt", write=_csv(stooq), said="Stooq, market ^SPX, 5,031 rows"),
    "MetaTrader": Source(
        file="a.csv",
        write=_csv(metatrader, sep="\t"),
        said="MetaTrader, fields split by tabs, volume from '<TICKVOL>' since '<VOL>' is 0 all "
        "along, 5,031 rows",
    ),
    "MetaTrader with real volume": Source(
        file="a.csv",
        write=_csv(lambda f: metatrader(f, real_volume=True), sep="\t"),
        said="MetaTrader, fields split by tabs, 5,031 rows",
    ),
    "MetaTrader 4": Source(
        file="a.csv",
        write=_csv(_metatrader_4, header=False),
        said="MetaTrader 4, without header, 5,031 rows",
    ),
    "Investing.com": Source(
        file="a.csv",
        write=_csv(investing, quoting=1, encoding="utf-8-sig"),
        said="Investing.com, dates mm/dd/yyyy, numbers such as 1.23M read as rounded, "
        "newest first turned round, 5,031 rows",
        rounded=True,
    ),
    "Nasdaq.com": Source(
        file="a.csv",
        write=_csv(_nasdaq),
        said="Nasdaq.com, dates mm/dd/yyyy, newest first turned round, 5,031 rows",
    ),
    "Alpha Vantage": Source(
        file="a.csv",
        write=_csv(_alpha_vantage),
        said="Alpha Vantage, newest first turned round, 5,031 rows",
    ),
    "Alpha Vantage from JSON": Source(
        file="a.csv",
        write=_csv(_alpha_vantage_json),
        said="Alpha Vantage, newest first turned round, 5,031 rows",
    ),
    "Alpha Vantage, adjusted": Source(
        file="a.csv",
        write=_csv(_alpha_vantage_adjusted),
        said="Alpha Vantage, '4. close' read and '5. adjusted close' left out, "
        "newest first turned round, 5,031 rows",
    ),
    "TradingView": Source(
        file="a.csv",
        write=_csv(tradingview),
        said="TradingView, time in seconds of UTC, 5,031 rows",
    ),
    **{
        f"klines in {unit}": Source(
            file="a.csv",
            write=_csv(_klines(per_second), header=False),
            said=f"klines of an exchange, without header, time in {unit} of UTC, 5,031 rows",
        )
        for unit, per_second in (
            *(("seconds", 1), ("milliseconds", 10**3)),
            *(("microseconds", 10**6), ("nanoseconds", 10**9)),
        )
    },
    "klines with a header": Source(
        file="a.csv.gz",
        write=_csv(_klines(1000)),
        said="klines of an exchange, time in milliseconds of UTC, 5,031 rows",
    ),
    **{
        f"a long file with {column}": Source(
            file="a.csv",
            write=_csv(lambda f, column=column: kaggle(f, "SPX", column=column)),
            said="plain columns, market SPX, 5,031 rows",
        )
        for column in ("Name", "symbol", "Ticker")
    },
    "a European spreadsheet": Source(
        file="a.csv", write=_csv(european, sep=";"), said=EUROPEAN.format("semicolons")
    ),
    "a European spreadsheet that names its delimiter": Source(
        file="a.csv", write=_excel_with_delimiter, said=EUROPEAN.format("semicolons")
    ),
    "Unicode text of a spreadsheet": Source(
        file="a.txt", write=_excel, said=EUROPEAN.format("tabs")
    ),
}

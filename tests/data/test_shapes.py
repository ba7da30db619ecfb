"""Bars are the same whatever program wrote their file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlproject.data.bar_columns import MissingColumns
from mlproject.data.bar_markets import SeveralMarkets
from mlproject.data.bars import Bars, load_bars
from mlproject.data.column_map import BadColumnMap, parse_column_map
from mlproject.data.features import WARM_UP_ROWS, compute_features
from mlproject.data.labels import label_rows, parse_task
from tests.data.shapes import (
    PRICES,
    SOURCES,
    european,
    investing,
    kaggle,
    metatrader,
    stooq,
    yfinance,
)


def _labels(frame: pd.DataFrame) -> np.ndarray:
    return label_rows(frame, horizon_days=3, task=parse_task("1pct"), label_price="close")


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if not source.rounded])
def test_every_source_gives_exactly_the_plain_bars(name: str, sp500: Bars, tmp_path: Path):
    path = SOURCES[name].written(sp500.frame, tmp_path)
    bars = load_bars(str(path))
    pd.testing.assert_frame_equal(bars.frame, sp500.frame, check_exact=True)
    assert bars.digest == sp500.digest
    assert bars.source_shape == SOURCES[name].said
    np.testing.assert_array_equal(_labels(bars.frame), _labels(sp500.frame))
    pd.testing.assert_frame_equal(
        compute_features(bars.frame), compute_features(sp500.frame), check_exact=True
    )


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.rounded])
def test_a_source_that_rounds_gives_the_bars_within_its_rounding(
    name: str, sp500: Bars, tmp_path: Path
):
    bars = load_bars(str(SOURCES[name].written(sp500.frame, tmp_path)))
    assert bars.source_shape == SOURCES[name].said
    assert (bars.frame["date"] == sp500.frame["date"]).all()
    assert (bars.frame[PRICES] == sp500.frame[PRICES].round(2)).all(axis=None)
    np.testing.assert_allclose(bars.frame["volume"], sp500.frame["volume"], rtol=0.005)
    np.testing.assert_array_equal(_labels(bars.frame), _labels(sp500.frame))
    ours, theirs = compute_features(bars.frame), compute_features(sp500.frame)
    spread = theirs.iloc[WARM_UP_ROWS:].std()
    assert ((ours - theirs).abs().max() < 0.02 * spread).all()


def test_lines_are_those_of_the_file_whatever_came_before(sp500: Bars, tmp_path: Path):
    last = len(sp500.frame) - 1
    for name, first_line in {
        "yfinance with three header rows": 4,
        "klines in seconds": 1,
        "a European spreadsheet that names its delimiter": 3,
    }.items():
        places = load_bars(str(SOURCES[name].written(sp500.frame, tmp_path))).places
        assert places is not None
        assert places.of([0, last]) == f"lines {first_line}, {first_line + last}"
    turned = load_bars(str(SOURCES["Nasdaq.com"].written(sp500.frame, tmp_path))).places
    assert turned is not None
    assert turned.of([0]) == f"line {last + 2}"
    assert turned.of([last]) == "line 2"


def _refused(kind: type[Exception], path: Path, **columns: str) -> str:
    with pytest.raises(kind) as caught:
        load_bars(str(path), columns)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("file", ["a.csv", "a.parquet"])
def test_several_markets_of_yfinance_are_named(file: str, sp500: Bars, tmp_path: Path):
    frame = yfinance(sp500.frame, tickers=("AAPL", "MSFT"))
    path = tmp_path / file
    frame.to_csv(path) if file.endswith("csv") else frame.to_parquet(path)
    said = _refused(SeveralMarkets, path)
    assert "holds the bars of 2 markets (AAPL, MSFT); give a file with the bars of one" in said


@pytest.mark.parametrize("column", ["Name", "symbol", "ticker"])
def test_several_markets_of_a_long_file_are_named(column: str, sp500: Bars, tmp_path: Path):
    names = [f"M{number}" for number in range(7)]
    kaggle(sp500.frame.head(3), *names, column=column).to_csv(tmp_path / "a.csv", index=False)
    said = _refused(SeveralMarkets, tmp_path / "a.csv")
    assert "holds the bars of 7 markets (M0, M1, M2, M3, M4, …); give a file" in said


def test_bars_without_volume_are_refused_as_such(sp500: Bars, tmp_path: Path):
    path = tmp_path / "a.csv"
    pair = sp500.frame.head(9)
    for written in (
        pair.drop(columns="volume"),
        metatrader(pair).drop(columns=["<VOL>", "<TICKVOL>"]),
        stooq(pair).drop(columns="<VOL>"),
        investing(pair).drop(columns="Vol."),
        investing(pair).assign(**{"Vol.": ""}),
        investing(pair).assign(**{"Vol.": "-"}),
    ):
        written.to_csv(path, index=False)
        assert "missing column volume" in _refused(MissingColumns, path)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", {}),
        ("close=Last", {"close": "Last"}),
        (" Close = Last price , date=Day,", {"close": "Last price", "date": "Day"}),
        ("close=Close/Last", {"close": "Close/Last"}),
        ("close=a=b", {"close": "a=b"}),
    ],
)
def test_a_column_map_is_read(text: str, columns: dict[str, str]):
    assert parse_column_map(text) == columns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Last", "'Last' is no name=column; write such as columns=close=Last,date=Day"),
        ("close=", "'close=' is no name=column"),
        ("price=Last", "'price' is none of date, open, high, low, close, volume"),
        ("close=Last,close=Price", "close is given twice"),
    ],
)
def test_a_column_map_that_cannot_be_read_is_told_how(text: str, said: str):
    with pytest.raises(BadColumnMap) as caught:
        parse_column_map(text)
    assert said in str(caught.value)


def test_a_column_map_serves_any_names(sp500: Bars, tmp_path: Path):
    path = tmp_path / "a.csv"
    german = {"Date": "Datum", "Open": "Eröffnung", "High": "Hoch", "Low": "Tief"}
    european(sp500.frame).rename(columns=german).to_csv(path, sep=";", index=False)
    said = _refused(MissingColumns, path)
    assert "missing columns date, open, high, low; found Datum, Eröffnung, Hoch, Tief, " in said
    assert "or say which is which, as in columns=close=Last,date=Day" in said
    bars = load_bars(str(path), {title.lower(): name for title, name in german.items()})
    assert bars.digest == sp500.digest
    assert "date from 'Datum', open from 'Eröffnung', high from 'Hoch'" in bars.source_shape


def test_a_column_map_goes_before_what_is_known_of_a_source(sp500: Bars, tmp_path: Path):
    path = tmp_path / "a.csv"
    other = sp500.frame.assign(**{"Adj Close": sp500.frame["close"] * 0.999})
    other.to_csv(path, index=False)
    assert "'close' read and 'Adj Close' left out" in load_bars(str(path)).source_shape
    bars = load_bars(str(path), {"close": "adj close"})
    assert (bars.frame["close"] == other["Adj Close"]).all()
    assert "left out" not in bars.source_shape
    assert "there is no column 'Last'; found date, open, " in _refused(
        BadColumnMap, path, close="Last"
    )


def test_names_in_a_file_are_shown_as_one_line_without_control_characters(
    sp500: Bars, tmp_path: Path
):
    path = tmp_path / "a.csv"
    kaggle(sp500.frame, "\x1b[2Jevil\n" + "x" * 999).to_csv(path, index=False)
    assert load_bars(str(path)).source_shape == (
        "plain columns, market \ufffd[2Jevil " + "x" * 31 + ", 5,031 rows"
    )


def test_the_numbers_of_the_rows_are_not_taken_for_dates(sp500: Bars, tmp_path: Path):
    written = SOURCES["TradingView"].written(sp500.frame, tmp_path)
    pd.read_csv(written, dtype=str).to_csv(written)
    assert load_bars(str(written)).digest == sp500.digest

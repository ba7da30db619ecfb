"""Bars that a model is asked about are refused exactly where a study's bars would be."""

import tempfile
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mlproject.data.bars import load_bars
from mlproject.data.checks import BadBars, check_bars
from mlproject.errors import UserError
from mlproject.serving.new_bars import FEWEST_BARS, UnusableBars, read_new_bars, tables_by_market

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 700)))
    return pd.DataFrame(
        {
            "date": pd.date_range("2010-01-06", periods=700, freq="B").astype("datetime64[us]"),
            "open": close,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": 1e6,
        }
    )


def _with(column: str, row: int, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return change


def _scaled(rows: slice, factor: float) -> Change:
    """Other prices in some rows, so that the first of them is a jump."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[rows, ["open", "high", "low", "close"]] *= factor
        return frame

    return change


def _copied(first: int, last: int) -> Change:
    """Rows that are all the one before the first."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        columns = ["open", "high", "low", "close", "volume"]
        frame.loc[first:last, columns] = frame.loc[first - 1, columns].to_numpy()
        return frame

    return change


def _stamped(last: str) -> Change:
    """Every row at the close of a session, but for the last."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        times = pd.Series("16:00:00", index=frame.index)
        times.iloc[-1] = last
        return frame.assign(date=frame["date"] + pd.to_timedelta(times))

    return change


REFUSED: dict[str, Change] = {
    "weekly bars": lambda frame: frame.assign(
        date=pd.date_range("2000-01-07", periods=len(frame), freq="7D").astype("datetime64[us]")
    ),
    "intraday bars": lambda frame: frame.assign(date=frame["date"].iloc[:100].repeat(7).to_numpy()),
    "volume must be above 0 in some row": lambda frame: frame.assign(volume=0.0),
    "adjusted for splits": _scaled(slice(400, None), 0.1),
    "within a factor of 5": _scaled(slice(400, None), 0.11),
    "copy of the row before": _copied(699, 699),
    "10 rows on end may be identical": _copied(300, 310),
    "finished day": _stamped("11:32:10"),
    "is empty": _with("close", 5, np.nan),
    "later than the row before": _with("date", 8, pd.Timestamp("2010-01-06")),
    "within 12 days": lambda frame: frame.drop(index=range(300, 320)),
    "above 0": _with("low", 9, 0.0),
    "at most 1e\\+12": _with("high", 9, 1e13),
    "volume must be 0 or more": _with("volume", 9, -1.0),
    "not be below low": _with("low", 9, 150.0),
    "not be above high": _with("high", 9, 20.0),
}
ACCEPTED: dict[str, Change] = {
    "as it is": lambda frame: frame,
    "no trade": _with("volume", 9, 0.0),
    "newest first": lambda frame: frame.iloc[::-1],
    "a day that fell by three quarters": _scaled(slice(400, None), 0.22),
    "ten rows alike": _copied(300, 308),
    "stamps at the close": _stamped("16:00:00"),
    "a holiday of twelve days": lambda frame: frame.drop(index=range(302, 309)),
}


def _as_study(frame: pd.DataFrame) -> None:
    """Through a file, as a study has its bars."""
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(f"{folder}/made.csv", index=False)
        check_bars(load_bars(f"{folder}/made.csv"))


def _read(frame: pd.DataFrame) -> pd.DataFrame:
    (table,) = tables_by_market(frame).values()
    return read_new_bars(table)


@pytest.mark.parametrize("rule", REFUSED)
def test_what_a_study_refuses_is_refused(rule: str, frame: pd.DataFrame) -> None:
    changed = REFUSED[rule](frame)
    with pytest.raises(BadBars):
        _as_study(changed)
    with pytest.raises(UnusableBars, match=rule):
        _read(changed)


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_a_study_accepts_is_accepted(kind: str, frame: pd.DataFrame) -> None:
    changed = ACCEPTED[kind](frame)
    _as_study(changed)
    read = _read(changed)
    assert len(read) == len(changed)
    assert read["date"].is_monotonic_increasing


def test_dates_and_whole_numbers_are_read_in_every_spelling(frame: pd.DataFrame) -> None:
    right = _read(frame)
    text = frame.assign(
        date=frame["date"].dt.strftime("%Y-%m-%d"), volume=frame["volume"].astype(int)
    )
    for spelt in (text, frame.assign(date=frame["date"].dt.date), text[text.columns[::-1]]):
        pd.testing.assert_frame_equal(_read(spelt), right)


@pytest.mark.parametrize("rows", [0, 1, FEWEST_BARS - 1])
def test_too_few_days_are_one_line(rows: int, frame: pd.DataFrame) -> None:
    with pytest.raises(UnusableBars, match=f"{rows} days are too few.*{FEWEST_BARS} or more"):
        _read(frame.head(rows))


def test_a_missing_column_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="missing column low"):
        _read(frame.drop(columns="low"))


def test_each_market_is_read_for_itself(frame: pd.DataFrame) -> None:
    """Rows of two markets, day by day in turn; the second is told newest first."""
    other = frame.assign(close=frame["close"] * 1.005, symbol=" B ")
    mixed = pd.concat([frame.assign(symbol="A"), other[::-1]])
    mixed = mixed.iloc[np.arange(len(mixed)).reshape(2, -1).T.ravel()]
    tables = tables_by_market(mixed)
    assert list(tables) == ["A", "B"]
    pd.testing.assert_frame_equal(read_new_bars(tables["A"], "A"), _read(frame))
    read = read_new_bars(tables["B"], "B")
    assert read["close"].tolist() == (frame["close"] * 1.005).tolist()


def test_an_error_names_the_market_and_the_row_as_it_was_sent(frame: pd.DataFrame) -> None:
    broken = _with("volume", 9, -1.0)(frame.copy())
    rows = pd.concat([frame.assign(symbol="A"), broken.iloc[::-1].assign(symbol="B")])
    table = tables_by_market(rows)["B"]
    said = f"the bars of B: volume .* rows break \\(1\\): {2 * len(frame) - 9}$"
    with pytest.raises(UnusableBars, match=said):
        read_new_bars(table, "B")


def test_rows_without_a_market_are_refused(frame: pd.DataFrame) -> None:
    rows = pd.concat([frame.assign(symbol="A"), frame.assign(symbol="B")], ignore_index=True)
    rows.loc[3, "symbol"] = None
    with pytest.raises(UserError, match="1 row without a market: row 4"):
        tables_by_market(rows)

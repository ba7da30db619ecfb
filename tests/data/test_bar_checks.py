import logging

import numpy as np
import pandas as pd
import pytest

from mlproject.data import bar_expectations
from mlproject.data.bar_expectations import MAX_GAP_DAYS, MIN_ROWS
from mlproject.data.bar_limits import MAX_IDENTICAL_ROWS, SPLITS
from mlproject.data.bar_measures import split_ratios
from mlproject.data.bars import load_bars
from mlproject.data.checks import BadBars, check_bars, validate_bars


def complaint(bars) -> str:
    with pytest.raises(BadBars) as caught:
        check_bars(bars)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("made.csv: these bars cannot be used: ")
    return line


def with_cell(frame: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    """The frame with another value in the row of 2010-01-08 (the third)."""
    frame = frame.copy()
    frame.loc[2, column] = value
    return frame


def test_real_bars_pass(sp500):
    check_bars(sp500)


@pytest.mark.parametrize("freq", ["B", "D"])
def test_valid_bars_pass_and_are_left_as_they_were(freq, make_frame, as_bars):
    bars = as_bars(make_frame(MIN_ROWS, freq=freq))
    before = bars.frame.copy()
    check_bars(bars)
    pd.testing.assert_frame_equal(bars.frame, before)


REST = ["open", "high", "low", "close", "volume"]


def at_rest(frame: pd.DataFrame, first: int, rows: int) -> pd.DataFrame:
    """The frame with days without trading: the close of the day before and no volume."""
    frame = frame.copy()
    frame.loc[first : first + rows - 1, REST[:-1]] = frame.loc[first - 1, "close"]
    frame.loc[first : first + rows - 1, "volume"] = 0.0
    return frame


def test_a_market_at_rest_passes(make_frame, as_bars):
    check_bars(as_bars(at_rest(make_frame(), 300, MAX_IDENTICAL_ROWS)))
    check_bars(as_bars(at_rest(make_frame(), 690, 10)))


def test_a_market_at_rest_for_long_was_filled_in(make_frame, as_bars):
    said = complaint(as_bars(at_rest(make_frame(), 300, MAX_IDENTICAL_ROWS + 2)))
    assert "at most 10 rows on end may be identical (2 rows: 2011-03-16, 2011-03-17)" in said


def test_volume_that_is_zero_all_along_is_no_volume(make_frame, as_bars):
    said = complaint(as_bars(make_frame().assign(volume=0.0)))
    assert "volume must be above 0 in some row (OBV and VWAP need it), here is none; repair" in said


@pytest.mark.parametrize(
    ("every", "said"),
    [
        (5, "the usual step between rows must be one day, here it is 7: these are weekly bars"),
        (21, "here it is 29: these are monthly bars"),
        (2, "here it is 2: these are not daily bars"),
    ],
)
def test_bars_of_longer_than_a_day_are_named(every, said, make_frame, as_bars):
    assert said in complaint(as_bars(make_frame(700 * every).iloc[::every]))


def test_intraday_bars_are_named(make_frame, as_bars):
    frame = make_frame()
    hourly = frame.loc[frame.index.repeat(7)]
    said = complaint(as_bars(hourly))
    assert "here it is 0: these are intraday bars" in said


def split(frame: pd.DataFrame, row: int, factor: float) -> pd.DataFrame:
    """The frame as it was before prices were adjusted for a split at a row."""
    frame = frame.copy()
    frame.loc[: row - 1, ["open", "high", "low", "close"]] *= factor
    return frame


@pytest.mark.parametrize("ratio", SPLITS)
def test_a_split_that_was_not_adjusted_for_is_told_by_its_ratio(ratio, sp500, as_bars):
    frame = split(sp500.frame, 2516, SPLITS[ratio])
    ratios = split_ratios(frame)
    assert ratios[2516] == ratio
    assert not any(ratios[:2516] + ratios[2517:])


@pytest.mark.parametrize(
    ("before", "opened", "closed", "ratio"),
    [
        (499.23, 127.58, 129.04, "4:1"),  # splits of US stocks, August 2020
        (2213.40, 444.61, 498.32, "5:1"),
        (1208.88, 120.37, 121.79, "10:1"),  # June 2024
        (348.61, 245.20, 226.19, ""),  # falls on the day after a report, April 2022
        (118.84, 74.91, 77.37, ""),  # October 2011
    ],
)
def test_splits_are_told_from_falls_as_they_happened(
    before, opened, closed, ratio, make_frame, as_bars
):
    frame = make_frame()
    prices = ["open", "high", "low", "close"]
    frame.loc[:299, prices] *= before / frame.loc[299, "close"]
    frame.loc[300:, prices] *= closed / frame.loc[300, "close"]
    frame.loc[300, "open"] = opened
    assert split_ratios(frame)[300] == ratio


@pytest.mark.parametrize("ratio", ["10:1", "3:2", "1:20"])
def test_a_split_is_refused_with_its_date_and_line(ratio, sp500, tmp_path):
    path = tmp_path / "a.csv"
    split(sp500.frame, 2516, SPLITS[ratio]).iloc[::-1].to_csv(path, index=False)
    with pytest.raises(BadBars) as caught:
        check_bars(load_bars(str(path)))
    before, after = sp500.frame["close"][2515] * SPLITS[ratio], sp500.frame["close"][2516]
    line = str(caught.value)
    assert "prices must be adjusted for splits (1 row: 2009-01-05) in line 2516, where the " in line
    assert f"price goes from {before:g} to {after:g} as after a {ratio} split; repair" in line


def test_a_large_move_is_refused_and_one_that_markets_know_is_not(make_frame, as_bars):
    frame = make_frame()
    frame.loc[300:, ["open", "high", "low", "close"]] *= 0.22
    check_bars(as_bars(frame))
    frame.loc[300:, ["open", "high", "low", "close"]] *= 0.5
    said = complaint(as_bars(frame))
    assert "close must be within a factor of 5 of the row before (1 row: 2011-03-02)" in said


def test_a_crash_of_the_size_of_a_split_is_no_split_if_the_open_was_not_there(make_frame, as_bars):
    frame = make_frame()
    frame.loc[300:, ["open", "high", "low", "close"]] *= 0.5
    frame.loc[300, ["open", "high"]] = frame.loc[299, "close"]
    assert not any(split_ratios(frame))
    check_bars(as_bars(frame))


def test_a_copy_of_the_last_day_is_refused(make_frame, as_bars):
    frame = make_frame()
    frame.loc[699, REST] = frame.loc[698, REST]
    said = complaint(as_bars(frame))
    assert "the last row must not be a copy of the row before (1 row: 2012-09-11); repair" in said
    check_bars(as_bars(make_frame(701).drop(index=700).pipe(lambda f: at_rest(f, 698, 2))))


def test_a_day_that_still_goes_on_is_refused(make_frame, tmp_path):
    path = tmp_path / "a.csv"
    frame = make_frame()
    dates = frame["date"].astype(str)
    for last, finished in (("14:32:10", False), ("21:00:00", True)):
        stamps = dates + " 21:00:00"
        stamps[699] = f"{dates[699]} {last}"
        frame.assign(date=stamps).to_csv(path, index=False)
        bars = load_bars(str(path))
        if finished:
            check_bars(bars)
            continue
        with pytest.raises(BadBars) as caught:
            check_bars(bars)
        said = "the last row must be a finished day (1 row: 2012-09-11) in line 701, which alone "
        assert f"{said}is stamped 14:32:10; repair" in str(caught.value)


def test_prices_that_are_adjusted_in_close_alone_are_refused(make_frame, as_bars):
    frame = make_frame()
    frame["close"] *= np.linspace(0.8, 1.0, len(frame))
    said = complaint(as_bars(frame))
    assert "close must be adjusted as open, high and low are, or none of them, here " in said
    assert " % of the closes are below low or above high" in said


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("open", np.nan, "open must not be empty (1 row: 2010-01-08)"),
        ("volume", np.nan, "volume must not be empty (1 row: 2010-01-08)"),
        ("date", pd.NaT, "date must not be empty (1 row: row 3)"),
        ("date", pd.Timestamp("2010-01-07"), "a date must not occur twice (2 rows: 2010-01-07)"),
        ("date", pd.Timestamp("2010-01-07"), "later than the row before (1 row: 2010-01-07)"),
        ("date", pd.Timestamp("2010-01-05"), "later than the row before (1 row: 2010-01-05)"),
        ("low", 0.0, "low must be above 0 and at most 1e+12 (1 row: 2010-01-08)"),
        ("close", -1.0, "close must be above 0 and at most 1e+12 (1 row: 2010-01-08)"),
        ("high", np.inf, "high must be above 0 and at most 1e+12 (1 row: 2010-01-08)"),
        ("volume", -1.0, "volume must be 0 or more and at most 1e+18 (1 row: 2010-01-08)"),
        ("volume", np.inf, "volume must be 0 or more and at most 1e+18 (1 row: 2010-01-08)"),
        ("open", 1.0, "low must not be above open (1 row: 2010-01-08)"),
        ("close", 1.0, "low must not be above close (1 row: 2010-01-08)"),
        ("open", 1e6, "open must not be above high (1 row: 2010-01-08)"),
        ("close", 1e6, "close must not be above high (1 row: 2010-01-08)"),
    ],
)
def test_one_bad_cell_is_found_and_dated(column, value, said, make_frame, as_bars):
    assert said in complaint(as_bars(with_cell(make_frame(), column, value)))


def test_three_of_many_bad_dates_are_shown_with_the_count(make_frame, as_bars):
    frame = make_frame()
    frame.loc[10:49, "volume"] = -1.0
    said = complaint(as_bars(frame))
    assert "at most 1e+18 (40 rows: 2010-01-20, 2010-01-21, 2010-01-22); repair" in said


def test_all_failures_stand_in_the_one_line(make_frame, as_bars):
    frame = with_cell(with_cell(make_frame(), "volume", -1.0), "close", np.nan)
    said = complaint(as_bars(frame.head(100)))
    assert f"at least {MIN_ROWS} rows are needed, here are 100" in said
    assert "volume must be 0 or more" in said
    assert "close must not be empty" in said


def test_fewer_rows_than_needed_fail(make_frame, as_bars):
    said = complaint(as_bars(make_frame(MIN_ROWS - 1)))
    assert f"at least {MIN_ROWS} rows are needed, here are {MIN_ROWS - 1}" in said


def test_no_rows_at_all_fail(make_frame, as_bars):
    assert "here are 0" in complaint(as_bars(make_frame(5).head(0)))


def test_a_long_closure_passes_and_a_longer_hole_does_not(make_frame, as_bars):
    daily = make_frame(700, freq="D")
    check_bars(as_bars(daily.drop(range(100, 100 + MAX_GAP_DAYS - 1))))
    said = complaint(as_bars(daily.drop(range(100, 100 + MAX_GAP_DAYS))))
    assert "date must be within 12 days of the row before (1 row: 2010-04-28)" in said


def test_checking_prints_and_logs_nothing(make_frame, as_bars, capfd, caplog):
    caplog.set_level(logging.INFO)
    check_bars(as_bars(make_frame()))
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""


def test_the_result_can_be_logged_as_json(sp500):
    result = validate_bars(sp500).to_json_dict()
    assert result["success"] is True
    assert len(result["results"]) == len(bar_expectations.SUITE.expectations)


def test_a_mistake_in_the_suite_is_not_blamed_on_the_bars(make_frame, as_bars, monkeypatch):
    import great_expectations as gx
    import great_expectations.expectations as gxe

    broken = gx.ExpectationSuite(
        name="broken", expectations=[gxe.ExpectColumnValuesToNotBeNull(column="no_such_column")]
    )
    monkeypatch.setattr(bar_expectations, "SUITE", broken)
    with pytest.raises(RuntimeError, match="no_such_column"):
        check_bars(as_bars(make_frame()))

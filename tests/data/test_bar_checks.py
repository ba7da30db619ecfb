import logging

import numpy as np
import pandas as pd
import pytest

from mlproject.data import bar_expectations
from mlproject.data.bar_expectations import MAX_GAP_DAYS, MIN_ROWS
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


def test_a_market_at_rest_passes(make_frame, as_bars):
    check_bars(as_bars(make_frame().assign(open=5.0, high=5.0, low=5.0, close=5.0, volume=0.0)))


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

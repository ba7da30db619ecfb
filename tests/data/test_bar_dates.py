"""Dates are read as they were meant, or refused: never by guessing."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.data.bar_dates import read_dates, unfinished_time

DAYS = st.builds(
    lambda start, rows, freq: pd.Series(pd.date_range(start, periods=rows, freq=freq)),
    st.dates(date(1973, 4, 1), date(2060, 1, 1)),
    st.integers(2, 60),
    st.sampled_from(["B", "D"]),
)
LAYOUTS = (
    *("%Y-%m-%d", "%Y%m%d", "%Y.%m.%d", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"),
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%b %d, %Y", "%d-%b-%Y", "%d %b %Y"),
)
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


@given(days=DAYS, layout=st.sampled_from(LAYOUTS), newest_first=st.booleans(), padded=st.booleans())
def test_dates_of_any_layout_are_read_as_meant_or_refused(days, layout, newest_first, padded):
    if newest_first:
        days = days.iloc[::-1].reset_index(drop=True)
    text = days.dt.strftime(layout)
    if not padded and "/" in layout:
        text = text.str.replace(r"\b0", "", regex=True).where(~text.str.contains(":"), text)
    read = read_dates(text)
    if not read.doubtful:
        assert (read.days == days).all()
    else:
        assert "%d" in layout
        assert "%m" in layout
        assert days.dt.day.max() <= 12


@given(days=DAYS, layout=st.sampled_from(["%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y"]))
def test_a_day_above_twelve_decides(days, layout):
    if days.dt.day.max() > 12:
        read = read_dates(days.dt.strftime(layout))
        assert not read.doubtful
        assert (read.days == days).all()


@given(days=DAYS, unit=st.sampled_from(sorted(UNITS)), seconds=st.integers(0, 86399))
def test_numbers_since_1970_are_days_of_utc_in_any_unit(days, unit, seconds):
    stamps = days.astype("datetime64[s]").astype("int64") + seconds
    for cells in (stamps * UNITS[unit], (stamps * UNITS[unit]).astype(str)):
        read = read_dates(cells)
        assert (read.days == days).all()
        assert read.note == f"time in {unit} of UTC"


@given(days=DAYS, unit=st.sampled_from(sorted(UNITS)))
def test_the_last_part_of_a_second_is_of_its_own_day(days, unit):
    closing = days.astype("datetime64[s]").astype("int64") + 86400
    read = read_dates(closing * UNITS[unit] - 1)
    assert (read.days == days).all()


def test_numbers_before_1973_are_read_with_later_ones():
    days = pd.Series(pd.date_range("1969-01-01", "1980-01-01"))
    read = read_dates(days.astype("datetime64[s]").astype("int64"))
    assert (read.days == days).all()


@pytest.mark.parametrize(
    ("stamps", "time"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], ""),
        (["2024-01-01", "2024-01-02", "2024-01-03 11:32:10"], "11:32:10"),
        (["2024-01-01 16:00", "2024-01-02 13:00", "2024-01-03 13:00"], ""),
        (["2024-01-01 16:00", "2024-01-02 13:00", "2024-01-03 12:00"], "12:00:00"),
        ([f"2024-01-0{n} 0{n}:00" for n in range(1, 8)], ""),
        (["2024-01-01"], ""),
    ],
)
def test_a_last_bar_of_its_own_time_of_day_is_unfinished(stamps, time):
    dates = pd.Series([np.datetime64(stamp.replace(" ", "T")) for stamp in stamps])
    assert unfinished_time(dates) == time

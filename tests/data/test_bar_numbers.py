"""Numbers are read as they were meant, or refused: never by guessing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.data.bar_numbers import number_of, read_numbers

PRICES = st.lists(
    st.one_of(
        st.floats(0.001, 1e9),
        st.decimals(1, 9999, places=3).map(float),
        st.integers(1, 10**9).map(float),
    ),
    min_size=1,
    max_size=20,
)


def _comma(text: str) -> str:
    return text.translate(str.maketrans(",.", ".,"))


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number


WRITTEN = {
    "plain": lambda number: str(_whole(number)),
    "thousands": lambda number: f"{_whole(number):,}",
    "dollars": lambda number: f"${_whole(number):,}",
    "decimal comma": lambda number: _comma(str(_whole(number))),
    "decimal comma and thousands": lambda number: _comma(f"{_whole(number):,}"),
    "blanks": lambda number: _comma(f"{_whole(number):,}".replace(",", "\u202f")),
    "apostrophes": lambda number: f"{_whole(number):,}".replace(",", "'"),
}


@given(numbers=PRICES, style=st.sampled_from(sorted(WRITTEN)))
def test_numbers_of_any_style_are_read_as_meant_or_refused(numbers, style):
    cells = pd.Series([WRITTEN[style](number) for number in numbers])
    if any("e" in cell for cell in cells):
        return
    read = read_numbers({"close": cells}, plain_first=False)
    if not read.doubtful:
        assert read.columns["close"].tolist() == numbers


@given(numbers=PRICES, style=st.sampled_from(sorted(WRITTEN)))
def test_one_number_that_decides_decides_for_the_whole_file(numbers, style):
    cells = pd.Series([WRITTEN[style](number) for number in numbers])
    if any("e" in cell for cell in cells):
        return
    deciding = pd.Series([WRITTEN[style](1234.56)])
    read = read_numbers({"open": deciding, "close": cells}, plain_first=False)
    assert not read.doubtful
    assert read.columns["close"].tolist() == numbers


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_plain_numbers_are_what_float_says(numbers):
    cells = pd.Series([repr(number) for number in numbers])
    read = read_numbers({"close": cells}, plain_first=True)
    assert read.columns["close"].tolist() == numbers
    assert read.notes == ()


@given(text=st.text("0123456789.,-+eE KMB$", max_size=8))
def test_no_text_is_read_where_both_readings_differ(text):
    read = read_numbers({"volume": pd.Series([text])}, plain_first=False)
    point, comma = (number_of(text, mark) for mark in (".", ","))  # type: ignore[arg-type]
    value = read.columns["volume"][0]
    if not np.isnan(point) and not np.isnan(comma) and point != comma:
        assert read.doubtful
    elif not np.isnan(value):
        assert value in (point, comma) or value == float(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.23B", 1.23e9),
        ("877.00M", 877e6),
        ("12.5K", 12500.0),
        ("$1,234.50", 1234.5),
        ("-0.5", -0.5),
        ("1e5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1,2345", np.nan),
        ("0,123", np.nan),
        ("1,23", np.nan),
        ("1.2.3", np.nan),
        ("1_000", np.nan),
        ("12 34", np.nan),
        ("", np.nan),
        ("nan", np.nan),
        ("--", np.nan),
    ],
)
def test_a_number_with_a_decimal_point(text, number):
    np.testing.assert_equal(number_of(text, "."), number)


def test_thousands_marked_by_commas_alone_are_refused_even_in_csv():
    read = read_numbers({"close": pd.Series(["1,234", "2,345"])}, plain_first=True)
    assert read.doubtful == ("close '1,234' could be 1.234 or 1234",)


def test_three_decimals_are_three_decimals_where_points_are_the_rule():
    read = read_numbers({"close": pd.Series(["110.123", "110.456"])}, plain_first=True)
    assert read.columns["close"].tolist() == [110.123, 110.456]
    assert not read.doubtful

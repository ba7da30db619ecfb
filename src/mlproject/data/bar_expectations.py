"""What daily bars must be: one Great Expectations suite. To ask more of them, extend `SUITE`.

Importing this module imports Great Expectations (one to four seconds): do it where bars are
checked, not at the top of a module. A `description` is what the user reads when it is not met.
"""

import great_expectations as gx
import great_expectations.expectations as gxe

from mlproject.data.bar_columns import REQUIRED_COLUMNS
from mlproject.data.bar_limits import (
    MAX_CLOSES_OUTSIDE,
    MAX_GAP_DAYS,
    MAX_IDENTICAL_ROWS,
    MAX_MOVE,
    MAX_PRICE,
    MAX_VOLUME,
    MIN_ROWS,
    PRICES,
)
from mlproject.data.bar_measures import (
    CLOSE_OUTSIDE,
    COPY,
    GAP_DAYS,
    MOVE,
    REPEATS,
    SPLIT,
    UNFINISHED,
)


def _a_not_above_b(lower: str, upper: str) -> gxe.Expectation:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=upper,
        column_B=lower,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
        description=f"{lower} must not be above {upper}",
    )


def _at_most(limit: float, column: str, description: str) -> gxe.Expectation:
    return gxe.ExpectColumnValuesToBeBetween(
        column=column, max_value=limit, description=description
    )


SUITE = gx.ExpectationSuite(
    name="daily_bars",
    expectations=[
        # First of all rows: an empty table would meet every other expectation.
        gxe.ExpectTableRowCountToBeBetween(
            min_value=MIN_ROWS, description=f"at least {MIN_ROWS} rows are needed"
        ),
        gxe.ExpectColumnMedianToBeBetween(
            column=GAP_DAYS,
            min_value=1,
            max_value=1,
            description="the usual step between rows must be one day",
        ),
        *[
            gxe.ExpectColumnValuesToNotBeNull(
                column=column, description=f"{column} must not be empty"
            )
            for column in REQUIRED_COLUMNS
        ],
        gxe.ExpectColumnValuesToBeUnique(column="date", description="a date must not occur twice"),
        gxe.ExpectColumnValuesToBeIncreasing(
            column="date", strictly=True, description="date must be later than the row before"
        ),
        _at_most(
            MAX_GAP_DAYS,
            GAP_DAYS,
            f"date must be within {MAX_GAP_DAYS} days of the row before",
        ),
        _at_most(0, UNFINISHED, "the last row must be a finished day"),
        _at_most(0, COPY, "the last row must not be a copy of the row before"),
        _at_most(
            MAX_IDENTICAL_ROWS,
            REPEATS,
            f"at most {MAX_IDENTICAL_ROWS} rows on end may be identical",
        ),
        _at_most(0, SPLIT, "prices must be adjusted for splits"),
        _at_most(
            MAX_MOVE,
            MOVE,
            f"close must be within a factor of {MAX_MOVE:g} of the row before",
        ),
        *[
            gxe.ExpectColumnValuesToBeBetween(
                column=price,
                min_value=0,
                strict_min=True,
                max_value=MAX_PRICE,
                description=f"{price} must be above 0 and at most {MAX_PRICE:g}",
            )
            for price in PRICES
        ],
        gxe.ExpectColumnValuesToBeBetween(
            column="volume",
            min_value=0,
            max_value=MAX_VOLUME,
            description=f"volume must be 0 or more and at most {MAX_VOLUME:g}",
        ),
        gxe.ExpectColumnMaxToBeBetween(
            column="volume",
            min_value=0,
            strict_min=True,
            description="volume must be above 0 in some row (OBV and VWAP need it)",
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column=CLOSE_OUTSIDE,
            max_value=MAX_CLOSES_OUTSIDE,
            description="close must be adjusted as open, high and low are, or none of them",
        ),
        _a_not_above_b("low", "open"),
        _a_not_above_b("low", "close"),
        _a_not_above_b("open", "high"),
        _a_not_above_b("close", "high"),
    ],
)

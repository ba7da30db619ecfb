"""What daily bars must be: one Great Expectations suite. To ask more of them, extend `SUITE`.

Importing this module imports Great Expectations (one to four seconds): do it where bars are
checked, not at the top of a module. A `description` is what the user reads when it is not met.
"""

import great_expectations as gx
import great_expectations.expectations as gxe

from mlproject.data.bar_columns import REQUIRED_COLUMNS
from mlproject.data.bar_limits import MAX_GAP_DAYS, MAX_PRICE, MAX_VOLUME, PRICES

GAP_DAYS = "gap_days"
"""A column that `checks` adds: calendar days since the row before (missing in the first row)."""

MIN_ROWS = 600
"""199 rows go to the warm-up of the 200-day average and 59 to the first window. Of 600 rows this
leaves 342 windows, and at a horizon of 30 days, after the gaps, 209 to train on, 21 to validate
and 22 to test: about the least that a loss can be averaged over."""


def _a_not_above_b(lower: str, upper: str) -> gxe.Expectation:
    return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=upper,
        column_B=lower,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
        description=f"{lower} must not be above {upper}",
    )


SUITE = gx.ExpectationSuite(
    name="daily_bars",
    expectations=[
        # First of all rows: an empty table would meet every other expectation.
        gxe.ExpectTableRowCountToBeBetween(
            min_value=MIN_ROWS, description=f"at least {MIN_ROWS} rows are needed"
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
        gxe.ExpectColumnValuesToBeBetween(
            column=GAP_DAYS,
            max_value=MAX_GAP_DAYS,
            description=f"date must be within {MAX_GAP_DAYS} days of the row before",
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
        _a_not_above_b("low", "open"),
        _a_not_above_b("low", "close"),
        _a_not_above_b("open", "high"),
        _a_not_above_b("close", "high"),
    ],
)

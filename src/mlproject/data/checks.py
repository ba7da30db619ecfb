"""Checking bars against the suite in `bar_expectations`, and saying in one line what is wrong."""

import logging
from typing import TYPE_CHECKING

import pandas as pd

from mlproject.data.bars import Bars, load_bars
from mlproject.errors import UserError

if TYPE_CHECKING:
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

_DATES_SHOWN = 3


class BadBars(UserError):
    """The bars do not make sense as daily bars of a market."""


def checked_bars(data: Bars | str) -> Bars:
    """The bars of a source, see `load_bars`, or those given, if they make sense; else `BadBars`."""
    bars = load_bars(data) if isinstance(data, str) else data
    check_bars(bars)
    return bars


def check_bars(bars: Bars) -> None:
    """Raise `BadBars`, naming every expectation that is not met, unless the bars meet them all."""
    failed = [r for r in validate_bars(bars).results if not r.success]
    if failed:
        found = "; ".join(_describe(result) for result in failed)
        raise BadBars(f"{bars.source}: these bars cannot be used: {found}; repair the data")


def validate_bars(bars: Bars) -> "ExpectationSuiteValidationResult":
    """Great Expectations' own result, for whoever wants to log it (`.to_json_dict()`).

    Not for threads: Great Expectations 1.24 then gives wrong verdicts. Raises RuntimeError if an
    expectation could not be evaluated at all, which is a mistake in the suite, not in the bars.
    """
    # Its import writes hundreds of lines at level INFO, and one of its modules sets its own level.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    from mlproject.data.bar_expectations import GAP_DAYS, SUITE

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    frame = bars.frame.assign(
        row=bars.frame.index + 1, **{GAP_DAYS: bars.frame["date"].diff().dt.days}
    )
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.pandas_default.read_dataframe(frame)
    result = batch.validate(
        SUITE,
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": ["date", "row"],
            "partial_unexpected_count": _DATES_SHOWN,
        },
    )
    for one in result.results:
        # One that raised has an empty result and also counts as not met.
        if not one.success and not one.result:
            raise RuntimeError(f"{one.expectation_config.type} broke: {one.exception_info}")
    return result


def _describe(failed: "ExpectationValidationResult") -> str:
    """What is not met, and where: 'close must not be empty (2 rows: 1999-01-05, 1999-01-06)'."""
    config = failed.expectation_config
    count = failed.result.get("unexpected_count")
    if count is None:
        return f"{config.description}, here are {failed.result['observed_value']}"
    places = failed.result["partial_unexpected_index_list"]
    shown = ", ".join(dict.fromkeys(_place(place) for place in places))
    rows = f"{count} row{'s' * (count > 1)}"
    return f"{config.description} ({rows}: {shown})"


def _place(place: dict[str, object]) -> str:
    date = place["date"]
    return f"{date:%Y-%m-%d}" if isinstance(date, pd.Timestamp) else f"row {place['row']}"

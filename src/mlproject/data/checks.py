"""Checking bars against the suite in `bar_expectations`, and saying in one line what is wrong."""

import logging
from typing import TYPE_CHECKING

import pandas as pd

from mlproject.data import bar_measures
from mlproject.data.bars import Bars
from mlproject.errors import UserError
from mlproject.text.phrases import counted

if TYPE_CHECKING:
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

_DATES_SHOWN = 3


class BadBars(UserError):
    """The bars do not make sense as daily bars of a market."""


def check_bars(bars: Bars) -> None:
    """Raise `BadBars`, naming every expectation that is not met, unless the bars meet them all."""
    failed = [r for r in validate_bars(bars).results if not r.success]
    if failed:
        found = "; ".join(filter(None, (_describe(result, bars) for result in failed)))
        raise BadBars(f"{bars.source}: these bars cannot be used: {found}; repair the data")


def validate_bars(bars: Bars) -> "ExpectationSuiteValidationResult":
    """Great Expectations' own result, for whoever wants to log it (`.to_json_dict()`).

    Not for threads: Great Expectations 1.24 then gives wrong verdicts. Raises RuntimeError if an
    expectation could not be evaluated at all, which is a mistake in the suite, not in the bars.
    """
    # Its import writes hundreds of lines at level INFO, and one of its modules sets its own level.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx

    from mlproject.data.bar_expectations import SUITE

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)

    frame = bars.to_check.assign(row=bars.frame.index + 1).join(
        bar_measures.measure(bars.to_check, bars.unfinished_time)
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


def _describe(failed: "ExpectationValidationResult", bars: Bars) -> str:
    """What is not met, and where: 'close must not be empty (1 row: 1999-01-05) in line 3'.

    Empty where there is nothing to judge, of which other expectations tell: no row at all.
    """
    config = failed.expectation_config
    column = config.kwargs.get("column")
    count = failed.result.get("unexpected_count")
    if count is None and failed.result["observed_value"] is None:
        return ""
    if count is None:
        return f"{config.description}, {_observed(column, failed.result['observed_value'])}"
    places = failed.result["partial_unexpected_index_list"]
    shown = ", ".join(dict.fromkeys(_place(place) for place in places))
    rows = list(dict.fromkeys(place["row"] - 1 for place in places))
    found = f"{config.description} ({counted(count, 'row')}: {shown})"
    if bars.places:
        found += f" in {bars.places.of(rows)}"
    return found + _explained(column, rows, bars)


def _observed(column: str | None, value: float) -> str:
    """What is found of the whole, where no row is to blame."""
    match column:
        case None:
            return f"here are {value}"
        case bar_measures.GAP_DAYS:
            return f"here it is {value:g}: these are {bar_measures.step_name(value)}"
        case bar_measures.CLOSE_OUTSIDE:
            return f"here {value * 100:.0f} % of the closes are below low or above high"
    return "here is none"


def _explained(column: str | None, rows: list[int], bars: Bars) -> str:
    """What the rows look like."""
    match column:
        case bar_measures.SPLIT:
            ratios = bar_measures.split_ratios(bars.frame)
            close = bars.frame["close"]
            return ", where the price goes " + ", ".join(
                f"from {close[row - 1]:g} to {close[row]:g} as after a {ratios[row]} split"
                for row in rows
            )
        case bar_measures.UNFINISHED:
            return f", which alone is stamped {bars.unfinished_time}"
    return ""


def _place(place: dict[str, object]) -> str:
    date = place["date"]
    return f"{date:%Y-%m-%d}" if isinstance(date, pd.Timestamp) else f"row {place['row']}"

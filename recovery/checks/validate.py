"""The verdict of `recovery.checks.suite` over a study: sound rows and quarantined ones."""

import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mlproject.errors import UserError
from mlproject.text.escaping import for_spreadsheet
from recovery.checks.table import trial_table
from recovery.resolve import ResolvedStudy


class CheckBroken(UserError):
    """A check of the suite cannot be run at all."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The verdict over the trials of one study; rows are places in `ResolvedStudy.trials`."""

    errors: dict[int, tuple[str, ...]]
    """Why a row is quarantined."""
    warnings: dict[int, tuple[str, ...]]
    quarantine_csv: str
    """The quarantined rows with their reasons; empty when there are none."""
    result_json: str
    report_html: str


def validate(study: ResolvedStudy) -> Validation:
    """Check a study.

    Raises:
        CheckBroken: an expectation raises instead of judging (say, of a column that is not there).
    """
    # It takes seconds to import, and only this needs it.
    from great_expectations.exceptions import GreatExpectationsError

    from recovery.checks.suite import MESSAGE

    table = trial_table(study)
    try:
        result = _run(table)
    except GreatExpectationsError as error:
        raise CheckBroken(f"the checks cannot be run: {str(error).splitlines()[0]}") from error
    errors: dict[int, list[str]] = {}
    found_warnings: dict[int, list[str]] = {}
    for check in result.results:
        config = check.expectation_config
        if check.exception_info and _raised(check.exception_info):
            raise CheckBroken(f"check {config.type} {config.kwargs} cannot be run")
        if not check.success:
            into = errors if config.severity == "critical" else found_warnings
            for row in _failed_rows(check.result):
                reasons = into.setdefault(row, [])
                reason = _reason(config.meta[MESSAGE], table.iloc[row], config.kwargs)
                if reason not in reasons:
                    reasons.append(reason)
    return Validation(
        errors={row: tuple(reasons) for row, reasons in sorted(errors.items())},
        warnings={row: tuple(reasons) for row, reasons in sorted(found_warnings.items())},
        quarantine_csv=_quarantine(table, errors),
        result_json=str(result),
        report_html=_render(result),
    )


def _run(table: pd.DataFrame) -> Any:
    import great_expectations as gx

    from recovery.checks.suite import ROW, build_suite

    # One context per call: a shared one gives wrong verdicts when threads meet in it.
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("recovery").add_dataframe_asset("trials")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name="recovered trials",
            data=batch.add_batch_definition_whole_dataframe("study"),
            suite=context.suites.add(build_suite()),
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return definition.run(
            batch_parameters={"dataframe": table},
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": [ROW]},
        )


def _raised(info: dict[str, Any]) -> bool:
    entries = [info] if "raised_exception" in info else list(info.values())
    return any(entry.get("raised_exception") for entry in entries if isinstance(entry, dict))


def _failed_rows(result: dict[str, Any]) -> list[int]:
    return [int(item["row"]) for item in result.get("unexpected_index_list") or ()]


def _reason(message: str, row: "pd.Series[Any]", kwargs: dict[str, Any]) -> str:
    column = kwargs.get("column")
    if column == "contradictions":
        return str(row["contradiction"])
    if column in ("d_model", "n_heads", "d_ff") and row["why_absent"] and pd.isna(row[column]):
        return f"{message}: {row['why_absent']}"
    return message


def _quarantine(table: pd.DataFrame, errors: dict[int, list[str]]) -> str:
    if not errors:
        return ""
    rows = table.loc[sorted(errors)].copy()
    rows.insert(0, "reasons", ["; ".join(errors[row]) for row in rows.index])
    kept = rows.drop(columns=["row", "contradiction"])
    return str(for_spreadsheet(kept).to_csv(index=False))


def _render(result: Any) -> str:
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result)))

"""The verdict of `recovery.checks.suite` over a study: sound rows and quarantined ones."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from mlproject.errors import UserError
from mlproject.text.escaping import for_spreadsheet
from recovery.checks.page import Finding, verdict_page
from recovery.checks.table import REAL_COLUMNS, trial_table
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

    from recovery.checks.suite import ADVICE, MESSAGE

    table = trial_table(study)
    try:
        result = _run(table)
    except GreatExpectationsError as error:
        raise CheckBroken(f"the checks cannot be run: {str(error).splitlines()[0]}") from error
    found: dict[tuple[str, str, str], list[int]] = {}
    passed = []
    for check in result.results:
        config = check.expectation_config
        if check.exception_info and _raised(check.exception_info):
            raise CheckBroken(f"check {config.type} {config.kwargs} cannot be run")
        if check.success:
            passed.append(config.meta[MESSAGE])
            continue
        for row in _failed_rows(check.result):
            reason = _reason(config.meta[MESSAGE], table.iloc[row], config.kwargs)
            severity = "critical" if config.severity == "critical" else "warning"
            key = (severity, reason, config.meta[ADVICE])
            if row not in found.setdefault(key, []):
                found[key].append(row)
    findings = [
        Finding(severity=severity, reason=reason, advice=advice, rows=tuple(sorted(rows)))
        for (severity, reason, advice), rows in found.items()
    ]
    errors = _reasons(f for f in findings if f.severity == "critical")
    return Validation(
        errors=errors,
        warnings=_reasons(f for f in findings if f.severity != "critical"),
        quarantine_csv=_quarantine(table, errors),
        result_json=str(result),
        report_html=verdict_page(table, findings, dict.fromkeys(passed), len(errors)),
    )


def _reasons(findings: Iterable[Finding]) -> dict[int, tuple[str, ...]]:
    """What is said of each row, in the order of the checks."""
    reasons: dict[int, list[str]] = {}
    for finding in findings:
        for row in finding.rows:
            reasons.setdefault(row, []).append(finding.reason)
    return {row: tuple(found) for row, found in sorted(reasons.items())}


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


def _quarantine(table: pd.DataFrame, errors: Mapping[int, Sequence[str]]) -> str:
    """The rows as a person reads them: times in ISO format (UTC), whole numbers without a dot."""
    if not errors:
        return ""
    rows = table.loc[list(errors)].copy()
    rows.insert(0, "reasons", ["; ".join(reasons) for reasons in errors.values()])
    for moment in ("started", "ended"):
        rows[f"{moment}_ms"] = [_iso(each) for each in rows[f"{moment}_ms"]]
    rows = rows.rename(columns={"started_ms": "started", "ended_ms": "ended"})
    for column in rows.select_dtypes("float64"):
        if (rows[column].dropna() % 1 == 0).all() and column not in REAL_COLUMNS:
            rows[column] = rows[column].astype("Int64")
    kept = rows.drop(columns=["row", "contradiction"])
    return str(for_spreadsheet(kept).to_csv(index=False))


def _iso(milliseconds: float) -> str | None:
    """Such as ``2026-11-23T20:14:13.539Z``."""
    if pd.isna(milliseconds):
        return None
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The verdict over a study as a page that opens from a disk, without a network."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

MAX_ROWS = 200
"""Of the trials that one check speaks of so many are listed; `quarantine.csv` has all of them."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em;
  color: #222; }
h1, h2 { overflow-wrap: anywhere; }
h1 { font-size: 1.5em; }
h2 { font-size: 1.1em; }
.verdict { padding: .6em 1em; border-left: 6px solid; font-size: 1.1em; }
.passed { border-color: #2e7d32; background: #eef7ee; }
.warned { border-color: #b26a00; background: #fff6e5; }
.failed { border-color: #b3261e; background: #fdeceb; }
table { border-collapse: collapse; width: 100%; margin: .5em 0 1.5em; }
th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #ddd; }
td { overflow-wrap: anywhere; }
.critical { color: #b3261e; font-weight: 600; }
.warning { color: #b26a00; font-weight: 600; }
.advice { color: #444; }
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check says of some trials."""

    severity: str
    """``critical`` or ``warning``."""
    reason: str
    advice: str
    rows: tuple[int, ...]
    """Places in the table of trials."""


def verdict_page(
    table: pd.DataFrame, findings: Sequence[Finding], passed: Iterable[str], quarantined: int
) -> str:
    """The page; `passed` says what the checks that found nothing look for."""
    study = html.escape(str(table["study_name"].iloc[0])) if len(table) else "no trial"
    kind, verdict = _verdict(findings, len(table), quarantined)
    order = ("critical", "warning")
    found = "".join(_section(table, each) for s in order for each in findings if each.severity == s)
    sound = "".join(f"<li>{html.escape(each)}</li>" for each in passed)
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Checks of {study}</title>"
        f"<style>{_STYLE}</style><h1>Checks of {study}</h1>"
        f"<p class='verdict {kind}'>{verdict}</p>{found}"
        f"<details><summary>Checks that found nothing</summary><ul>{sound}</ul></details></html>"
    )


def _verdict(findings: Sequence[Finding], trials: int, quarantined: int) -> tuple[str, str]:
    if quarantined:
        rest = f"the other {trials - quarantined} are in" if trials > quarantined else "none is in"
        return "failed", (
            f"Failed: {quarantined} of {trials} trials are quarantined, {rest}. "
            "<code>quarantine.csv</code> beside this page has the rows with all values."
        )
    if findings:
        return "warned", f"Passed with warnings: all {trials} trials are in, with these remarks."
    return "passed", f"Passed: all {trials} trials are in, and no check has a remark."


def _section(table: pd.DataFrame, finding: Finding) -> str:
    rows = "".join(_row(table.iloc[row]) for row in finding.rows[:MAX_ROWS])
    more = len(finding.rows) - MAX_ROWS
    left_out = f"<p>and {more} more</p>" if more > 0 else ""
    return (
        f"<h2><span class='{finding.severity}'>{finding.severity}</span>: "
        f"{html.escape(finding.reason)}</h2>"
        f"<p class='advice'><b>What to do:</b> {html.escape(finding.advice)}</p>"
        f"<table><tr><th>trial</th><th>state</th><th>source</th><th>lines</th></tr>{rows}</table>"
        f"{left_out}"
    )


def _row(row: "pd.Series[Any]") -> str:
    first, last = row["first_line"], row["last_line"]
    lines = f"{first}–{last}" if first else "–"
    cells = (row["trial_number"], row["state"], row["source"], lines)
    return f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>"

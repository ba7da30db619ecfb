"""What a person reads of the checks."""

import csv
import io
import re

import pytest
from recovery.checks.validate import Validation, validate
from recovery.resolve import resolve

from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, start

LINES = (CREATED, start(0, 1), finish(0, 2), start(1, 3), finish(1, 4))
DIVERGED = (*LINES[:4], finish(1, 4).replace("value: 0.6", "value: 100.0"))
DAMAGED = (*LINES[:4], finish(1, 4).replace("0.00012345", "0.00022345"))


def checked(lines: tuple[str, ...], collect: Collect) -> Validation:
    return validate(resolve(STUDY, collect(log(*lines)).studies[STUDY]))


@pytest.mark.parametrize(
    ("lines", "verdict", "found"),
    [
        (LINES, "Passed: all 2 trials are in", []),
        (DIVERGED, "Passed with warnings: all 2 trials are in", ["it diverged"]),
        (DAMAGED, "Failed: 1 of 2 trials are quarantined", ["learning_rate is 0.000123 on"]),
    ],
)
def test_the_page_says_the_verdict_the_reasons_and_what_to_do(
    lines: tuple[str, ...], verdict: str, found: list[str], collect: Collect
) -> None:
    page = checked(lines, collect).report_html
    assert verdict in page
    assert page.count("What to do:") == len(found)
    for reason in found:
        assert reason in page
        severity = "critical" if "Failed" in verdict else "warning"
        assert f"<span class='{severity}'>{severity}</span>" in page
        assert "<td>0.log</td><td>4–5</td>" in page


def test_the_page_needs_no_network(collect: Collect) -> None:
    page = checked(DAMAGED, collect).report_html
    assert not re.search(r"https?:|//|src=|<script|<link|@import|url\(", page)


def test_the_quarantine_is_readable(collect: Collect) -> None:
    [row] = csv.DictReader(io.StringIO(checked(DAMAGED, collect).quarantine_csv))
    assert (row["started"], row["ended"]) == (
        "2025-01-02T03:03:00.000Z",
        "2025-01-02T03:04:00.000Z",
    )
    whole = {"trial_number": "1", "epochs": "50", "batch_size": "64", "arch_idx": "21"}
    assert {name: row[name] for name in whole} == whole
    assert row["best_val_loss"] == "0.6" and row["n_features"] == "20"

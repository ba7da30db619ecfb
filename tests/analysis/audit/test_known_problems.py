"""docs/hpo_fixes_plan.md: the audit finds the five problems by itself, in the words of the page."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from recovery.cli import cli as recovery

from tests.conftest import LEGACY
from tests.end_to_end.processes import REPOSITORY

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

PAGE = (REPOSITORY / "docs" / "hpo_fixes_plan.md").read_text()
QUOTED = re.findall(r"^    ([✗✓] .+)$", PAGE, flags=re.MULTILINE)
LAST_LINE_OF_31 = "Trial 30 finished with value"
LAST_LINE_OF_50 = "Trial 49 finished with value"
CRASH = """
Traceback (most recent call last):
  File "/home/user/financial_ts/experiments/phase6a/hpo_2M_h1_threshold_1pct.py", line 250, in main
    save_summary(study)
ValueError: No trials are completed yet.

[1/2] FAILED: hpo_2M_h1_threshold_1pct.py
"""


def _audit(command: Command) -> tuple[int, str]:
    code, output, _ = command("audit", "--experiment", "phase6a")
    return code, output


def _recover(until: str, then: str = "") -> None:
    """Backfill an old log up to the first line that holds `until`."""
    lines = (LEGACY / "2M_no_heads.log").read_text().splitlines(keepends=True)
    last = next(index for index, line in enumerate(lines) if until in line)
    Path("old.log").write_text("".join(lines[: last + 1]) + then)
    recovery.main(["backfill", "old.log"], standalone_mode=False)


def test_the_page_quotes_what_the_audit_says(legacy_store: Path, command: Command) -> None:
    code, output = _audit(command)
    assert code == 1
    lines = [line.strip() for line in output.splitlines()]
    from_the_logs = [line for line in QUOTED if "31 of 50" not in line]
    assert len(from_the_logs) == 4
    for line in from_the_logs:
        assert line in lines


def test_the_extremes_missed_are_as_many_as_the_page_says(
    legacy_store: Path, command: Command
) -> None:
    _, output = _audit(command)
    missed = [
        len(re.findall(r"✗ extreme ", part))
        for part in output.split("\n\n")
        if part.startswith("phase6a_2M_")
    ]
    assert missed == [3, 3]
    assert "each old study in the logs missed three" in PAGE


def test_a_study_cut_short_is_told(work_directory: Path, command: Command) -> None:
    _recover(LAST_LINE_OF_31)
    code, output = _audit(command)
    assert code == 1
    (line,) = [line for line in QUOTED if "31 of 50" in line]
    assert line in [each.strip() for each in output.splitlines()]
    assert re.search(r"^phase6a_2M_h1_threshold_1pct +31/50 ", output, flags=re.MULTILINE)


def test_a_crash_in_the_closing_summary_loses_no_trial(
    work_directory: Path, command: Command
) -> None:
    _recover(LAST_LINE_OF_50, CRASH)
    _, output = _audit(command)
    assert re.search(r"^phase6a_2M_h1_threshold_1pct +50/50 ", output, flags=re.MULTILINE)

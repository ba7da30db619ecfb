"""What the checks keep out."""

import pytest
from recovery.checks.validate import validate
from recovery.resolve import resolve

from tests.recovery.legacy_lines import CREATED, GRID, STUDY, Collect, finish, log, start


@pytest.mark.parametrize(
    ("finish_line", "problem"),
    [
        (finish(1, 4).replace("'epochs': 50", "'epochs': 75"), "epochs is 50"),
        (finish(1, 4).replace("0.00012345", "0.00022345"), "learning_rate is 0.000123"),
        (finish(1, 4).replace("'arch_idx': 21", "'arch_idx': 22"), "arch_idx is 21"),
    ],
)
def test_lines_that_contradict_each_other_are_quarantined(
    collect: Collect, finish_line: str, problem: str
) -> None:
    lines = (
        CREATED,
        start(0, 1),
        finish(0, 2),
        start(1, 3),
        finish_line,
        start(2, 5),
        finish(2, 6),
    )
    validation = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY]))
    assert list(validation.errors) == [1]
    assert validation.errors[1][0].startswith(problem)
    assert problem in validation.quarantine_csv


def test_a_wrong_parameter_count_is_quarantined(collect: Collect) -> None:
    wrong = start(0, 1).replace(f"params={GRID[20].param_count:,}", "params=1,900,000")
    lines = (CREATED, wrong, finish(0, 2), start(1, 3), finish(1, 4))
    validation = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY]))
    assert validation.errors == {0: ("its parameter count is not what the formula gives",)}

"""Lines that a terminal broke are joined where that can be proven."""

import pytest

from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, start

LINES = [CREATED]
for number in range(6):
    LINES += [start(number, 2 * number + 1), finish(number, 2 * number + 2), "words"]


def wrapped(line: str, columns: int) -> list[str]:
    return [line[at : at + columns] for at in range(0, len(line), columns)]


@pytest.mark.parametrize("columns", [60, 72, 80, 100, 120, 132, 160])
def test_lines_broken_at_the_width_of_a_terminal_are_joined(columns: int, collect: Collect) -> None:
    plain = collect(log(*LINES))
    pieces = [piece for line in LINES for piece in wrapped(line, columns)]
    for content in (log(*pieces), log(*(piece.rstrip() for piece in pieces))):
        collection = collect(content)
        assert list(collection.studies) == [STUDY]
        for found, expected in zip(collection.studies[STUDY], plain.studies[STUDY], strict=True):
            assert found.params == expected.params and found.metrics == expected.metrics
            assert found.start_fingerprint == expected.start_fingerprint
        [accounting] = collection.accounting
        assert accounting.accounted == accounting.lines == len(pieces)
        assert f"lines wrapped at {columns} columns were joined" in accounting.remarks


def test_a_line_that_is_broken_across_two_blocks_is_joined(collect: Collect) -> None:
    noise = ["n" * 40] * 60
    lines = [CREATED]
    for number in range(50):
        lines += [start(number, number), finish(number, number), *noise]
    pieces = [piece for line in lines for piece in wrapped(line, 80)]
    assert collect(log(*pieces)).trials == 50


def test_halves_of_a_damaged_log_are_not_joined(collect: Collect) -> None:
    """Other lines are longer, so nothing was wrapped there."""
    cut = finish(1, 4)
    lines = (CREATED, start(0, 1), finish(0, 2), start(1, 3), cut[:91], cut[91:])
    [accounting] = collect(log(*lines)).accounting
    assert not accounting.remarks and sum(accounting.rejected.values()) == 2


def test_lines_that_look_wrapped_but_cannot_be_joined_are_said_so(collect: Collect) -> None:
    pieces = [wrapped(line, 80)[0] for line in LINES]  # as `less -S` shows them
    [accounting] = collect(log(*pieces)).accounting
    assert any("look wrapped at 80 columns" in remark for remark in accounting.remarks)

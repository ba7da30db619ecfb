"""Lines that a terminal broke are joined where that can be proven."""

import textwrap

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


@pytest.mark.parametrize("columns", [64, 72, 80, 100])
@pytest.mark.parametrize("keeps_blanks", [True, False], ids=["fold -s", "mail"])
def test_lines_broken_between_words_are_joined(
    columns: int, keeps_blanks: bool, collect: Collect
) -> None:
    plain = collect(log(*LINES)).studies[STUDY]
    pieces = [
        piece
        for line in LINES
        for piece in textwrap.wrap(line, columns, drop_whitespace=not keeps_blanks)
    ]
    for content in (log(*pieces), log(*(f"> {piece}" for piece in pieces))):
        collection = collect(content)
        found = collection.studies[STUDY]
        assert [r.params for r in found] == [r.params for r in plain]
        assert [r.start_fingerprint for r in found] == [r.start_fingerprint for r in plain]
        [accounting] = collection.accounting
        assert accounting.accounted == accounting.lines == len(pieces)


def test_halves_beside_which_a_next_word_had_room_are_not_joined(collect: Collect) -> None:
    cut = finish(1, 4)
    lines = (CREATED, start(0, 1), finish(0, 2), start(1, 3), cut[:90], cut[90:], "w" * 210)
    [accounting] = collect(log(*lines, "w" * 210)).accounting
    assert not any("wrapped" in remark for remark in accounting.remarks)
    assert sum(accounting.rejected.values()) == 2


def test_long_lines_that_cannot_be_read_do_not_look_wrapped(collect: Collect) -> None:
    lines = [line.replace("'epochs': 50", "'epochs': ,,") for line in LINES]
    [accounting] = collect(log(*lines)).accounting
    assert not accounting.remarks and accounting.rejected

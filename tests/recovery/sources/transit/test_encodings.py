"""Logs in other encodings than UTF-8."""

import codecs

import pytest

from mlproject.tracking.names import TrialState
from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, only, start

LINES = (CREATED, "✓ ready", start(0, 1), finish(0, 2), start(1, 3), finish(1, 4))


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
    ],
)
def test_what_windows_writes_is_read(encoding: str, mark: bytes, collect: Collect) -> None:
    content = mark + log(*LINES).decode().replace("\n", "\r\n").encode(encoding)
    plain = collect(log(*LINES)).studies[STUDY]
    collection = collect(content)
    assert [r.params for r in collection.studies[STUDY]] == [r.params for r in plain]
    assert collection.accounting[0].lines == len(LINES)


def test_a_large_log_in_utf_16_is_read_whole(collect: Collect) -> None:
    lines = [CREATED, *("é" * 90 for _ in range(3000)), start(0, 1), finish(0, 2)]
    content = codecs.BOM_UTF16_LE + log(*lines).decode().encode("utf-16-le")
    [accounting] = collect(content).accounting
    assert (accounting.lines, accounting.trials) == (len(lines), 1)


def test_words_in_latin_1_cost_no_trial(collect: Collect) -> None:
    failed = (
        "[W 2025-01-02 03:02:00,000] Trial 0 failed with parameters: {'epochs': 50} because of the "
        "following error: OSError('Gerät belegt')."
    )
    content = log(CREATED, "Pfad: /home/jörg", start(0, 1), failed)
    record = only(collect(content.decode().encode("latin-1")))
    assert record.state is TrialState.FAIL
    assert record.failure_reason == r"OSError('Ger\xe4t belegt')"


@pytest.mark.parametrize("added", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_added_in_another_encoding_are_read(added: str, mark: str, collect: Collect) -> None:
    """PowerShell adds UTF-16 to any log, and other shells add UTF-8 to one of PowerShell's."""
    more = [*("words" for _ in range(20)), *LINES[4:]]
    first, last = log(*LINES[:4]).decode(), log(*more).decode()
    both = (
        first.encode() + (mark + last.replace("\n", "\r\n")).encode(added),
        ("\ufeff" + first).encode(added) + last.encode(),
    )
    for content in both:
        states = [record.state for record in collect(content).studies[STUDY]]
        assert states == [TrialState.COMPLETE, TrialState.COMPLETE]


def test_zeros_that_a_loss_of_power_left_hide_no_heading(collect: Collect) -> None:
    other = CREATED.replace("_h5_", "_h1_")
    content = log(*LINES) + b"\0" * 5000 + log(other, start(0, 5), finish(0, 6)) + b"\0" * 50
    collection = collect(content)
    assert {name: len(found) for name, found in collection.studies.items()} == {
        STUDY: 2,
        STUDY.replace("_h5_", "_h1_"): 1,
    }

"""What other programs put before the lines of a log hides nothing, and is said."""

import json
from collections.abc import Callable

import pytest

from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, start

LINES = (CREATED, start(0, 1), finish(0, 2), "some words of the script", start(1, 3), finish(1, 4))

PREFIXES: dict[str, Callable[[int], str]] = {
    "docker": lambda n: f"2025-01-02T03:00:{n:02d}.{n:09d}Z ",
    "kubernetes": lambda n: f"2025-01-02T03:00:{n:02d}{f'.{n}' if n % 2 else ''}Z ",
    "a zone": lambda n: f"2025-01-02T03:00:{n:02d}.5+01:00 ",
    "cri": lambda n: f"2025-01-02T03:00:{n:02d}.{n:09d}Z stderr F ",
    "compose": lambda _: "trainer-1  | ",
    "pod": lambda _: "[pod/train-x7f9c/main] ",
    "journald": lambda n: f"Jan  2 03:00:{n:02d} gpu-box python3[4711]: ",
    "ts": lambda n: f"Jan 02 03:00:{n:02d} ",
    "grep -n": lambda n: f"{n + 98}:",
    "cat -n": lambda n: f"{n + 98:6d}\t",
    "mail": lambda _: "> ",
    "code block": lambda _: "    ",
    "srun -l": lambda _: "0: ",
    "ray": lambda _: "(train pid=4711, ip=10.0.0.1) ",
}


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_is_taken_off_and_said(name: str, collect: Collect) -> None:
    plain = collect(log(*LINES)).studies[STUDY]
    prefixed = collect(log(*(PREFIXES[name](n) + line for n, line in enumerate(LINES))))
    found = prefixed.studies[STUDY]
    for record, expected in zip(found, plain, strict=True):
        assert record.params == expected.params and record.metrics == expected.metrics
        assert record.start_fingerprint == expected.start_fingerprint
        assert not record.problems
    [accounting] = prefixed.accounting
    assert accounting.accounted == accounting.lines == len(LINES)
    assert any("prefix" in remark for remark in accounting.remarks)


def test_a_log_in_json_is_taken_out_of_it(collect: Collect) -> None:
    """As Docker keeps it on disk."""
    boxed = [json.dumps({"log": f"{line}\n", "stream": "stderr"}) for line in LINES]
    collection = collect(log(*boxed))
    assert [r.state for r in collection.studies[STUDY]] == ["COMPLETE", "COMPLETE"]


def test_a_line_into_which_another_ran_is_no_prefix(collect: Collect) -> None:
    """Only what stands before most lines is one."""
    lines = (CREATED, start(0, 1)[:60] + finish(0, 2), start(1, 3), finish(1, 4), *["words"] * 9)
    [accounting] = collect(log(*lines)).accounting
    assert not any("prefix" in remark for remark in accounting.remarks)
    assert sum(accounting.rejected.values()) == 1


def test_a_prefix_that_begins_in_the_middle_is_seen(collect: Collect) -> None:
    """A plain log and one of docker in one file."""
    plain, docker = LINES[:3], LINES[4:]
    boxed = [PREFIXES["docker"](n) + line for n, line in enumerate((*docker, "a", "b"))]
    assert collect(log(*plain, *boxed)).trials == 2


def test_blanks_escapes_and_marks_hide_nothing(collect: Collect) -> None:
    plain = collect(log(*LINES)).studies[STUDY]
    dressed = {
        "blanks": log(*(f"{line}  \t" for line in LINES)),
        "escaped": log(*(line.replace("'", "&#x27;") for line in LINES)),
        "escaped otherwise": log(*(line.replace("'", "&apos;") for line in LINES)),
        "marked": b"\xef\xbb\xbf" + log(*LINES),
        "marked in the middle": log("words") + b"\xef\xbb\xbf" + log(*LINES),
    }
    for name, content in dressed.items():
        collection = collect(content)
        found = collection.studies[STUDY]
        assert [r.params for r in found] == [r.params for r in plain], name
        assert {r.state for r in found} == {"COMPLETE"}, name
        assert bool(collection.accounting[0].remarks) == ("mark" not in name)


@pytest.mark.parametrize("escape", ["\x1b", "", "^[", "#033", "\\x1b", "\\u001b", "␛"])
def test_colours_hide_nothing_however_their_sign_is_written(escape: str, collect: Collect) -> None:
    """`cat -v`, syslog and web pages spell it out or lose it."""
    lines = (f"{escape}[32m{line[:27]}{escape}[0m{line[27:]}" for line in LINES)
    states = [r.state for r in collect(log(*lines)).studies[STUDY]]
    assert states == ["COMPLETE", "COMPLETE"]

"""Any bytes, damaged logs too: nothing is raised, no line is lost, no value is written that the
whole log denies.

`HYPOTHESIS_PROFILE=long` tries 2 000 damages of each kind.
"""

import io
import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recovery.checks.validate import validate
from recovery.records import TimesFrom, TrialRecord
from recovery.resolve import ResolvedStudy, ResolvedTrial, resolve
from recovery.sources.reader import LogReader, read_log

from mlproject.tracking.names import TrialState
from tests.recovery.conftest import LOGS
from tests.recovery.legacy_lines import CREATED, MOMENT, Collect, finish, log, only, start

Lines = list[bytes]


def _cut_file(lines: Lines, rng: random.Random) -> Lines:
    whole = b"".join(lines)
    start, end = sorted(rng.sample(range(len(whole) + 1), 2))
    # Two halves of numbers that meet are a number like any other: no reader can know it.
    between = (
        b"\n" if whole[start - 1 : start].isdigit() and whole[end : end + 1].isdigit() else b""
    )
    without_middle = whole[:start] + between + whole[end:]
    kept = rng.choice([whole[:end], whole[start:], whole[start:end], without_middle])
    return io.BytesIO(kept).readlines()


def _cut_lines(lines: Lines, rng: random.Random) -> Lines:
    damaged = list(lines)
    for place in rng.sample(range(len(lines)), rng.randint(1, 8)):
        end = rng.choice([b"", b"\n"])
        damaged[place] = lines[place][: rng.randint(0, len(lines[place]))].rstrip(b"\n") + end
    return io.BytesIO(b"".join(damaged)).readlines()  # at \n alone, as the reader does


def _drop_lines(lines: Lines, rng: random.Random) -> Lines:
    start, end = sorted(rng.sample(range(len(lines) + 1), 2))
    dropped = rng.choice([set(range(start, end)), set(rng.sample(range(len(lines)), 5))])
    return [line for place, line in enumerate(lines) if place not in dropped]


def _double_lines(lines: Lines, rng: random.Random) -> Lines:
    start, end = sorted(rng.sample(range(len(lines) + 1), 2))
    each = [line for line in lines[start:end] for _ in range(rng.randint(1, 2))]
    return rng.choice(
        [lines + lines, lines[:end] + lines[start:], lines[:start] + each + lines[end:]]
    )


def _shuffle(lines: Lines, rng: random.Random) -> Lines:
    damaged = list(lines)
    start, end = sorted(rng.sample(range(len(lines) + 1), 2))
    if rng.random() < 0.3:
        start, end = 0, len(lines)
    damaged[start:end] = rng.sample(damaged[start:end], end - start)
    return damaged


def _garble(lines: Lines, rng: random.Random) -> Lines:
    """No digit becomes another digit: no reader can know such a log from a genuine one."""
    damaged = list(lines)
    strange = [byte for byte in range(256) if not chr(byte).isdigit() and byte != 0x0A]
    for place in rng.sample(range(len(lines)), rng.randint(1, 20)):
        text = bytearray(damaged[place])
        for _ in range(rng.randint(1, 5)):
            text[rng.randrange(len(text))] = rng.choice(strange)
        damaged[place] = bytes(text)
    return io.BytesIO(b"".join(damaged)).readlines()  # at \n alone, as the reader does


def _interleave(lines: Lines, rng: random.Random) -> Lines:
    other = LOGS[rng.randrange(len(LOGS))].read_bytes().splitlines(keepends=True)
    merged: Lines = []
    queues = [list(reversed(lines)), list(reversed(other))]
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        for _ in range(min(len(queue), rng.randint(1, 40))):
            merged.append(queue.pop())
    return merged


def _terminal(lines: Lines, rng: random.Random) -> Lines:
    bar = b"\r 45%|####      | 45/100 [00:10<00:12,  4.4it/s]\r"
    wrappers: list[Callable[[bytes], bytes]] = [
        lambda line: line.rstrip(b"\n") + b"\r\n",
        lambda line: b"\x1b[32m" + line.rstrip(b"\n") + b"\x1b[0m\n",
        lambda line: bar + line,
        lambda line: line,
    ]
    return [rng.choice(wrappers)(line) for line in lines]


DAMAGES = [
    _cut_file,
    _cut_lines,
    _drop_lines,
    _double_lines,
    _shuffle,
    _garble,
    _interleave,
    _terminal,
]


@cache
def _untouched() -> dict[tuple[str, int], ResolvedTrial]:
    trials = {}
    for path in LOGS:
        for study in _resolve(path.read_bytes().splitlines(keepends=True))[0]:
            for trial in study.trials:
                trials[study.study_name, trial.record.trial_number] = trial
    return trials


def _resolve(lines: Lines) -> tuple[list[ResolvedStudy], LogReader]:
    records, reader = read_log(b"".join(lines))
    studies: dict[str, list[TrialRecord]] = {}
    for record in records:
        keys = ((record.launch, None), (record.launch, record.trial_number))
        if not any(key in reader.distrusted for key in keys):
            studies.setdefault(record.study_name, []).append(record)
    return [resolve(name, found) for name, found in studies.items()], reader


def _denied(trial: ResolvedTrial) -> str | None:  # noqa: PLR0911 - one reason each
    """What the untouched log says against a trial, if anything."""
    record = trial.record
    genuine = _untouched().get((record.study_name, record.trial_number))
    if genuine is None:
        return "there is no such trial"
    for name, value in trial.params.items():
        if genuine.params.get(name) != value:
            return f"{name} is {value}, not {genuine.params.get(name)}"
    if record.times_from is TimesFrom.LOG and record.started_ms != genuine.record.started_ms:
        return "it started at another time"
    if record.unfinished:  # then the trial is only said to end no later than the log does
        return None
    if record.times_from is TimesFrom.LOG and record.ended_ms != genuine.record.ended_ms:
        return "it ended at another time"
    if record.state is not TrialState.COMPLETE:
        return f"its state is {record.state}"
    if not trial.metrics.items() <= genuine.metrics.items():
        return f"its metrics are {trial.metrics}"
    return None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
@given(log=st.sampled_from(LOGS), seed=st.integers(0, 2**32 - 1))
def test_a_damaged_log(
    damage: Callable[[Lines, random.Random], Lines], log: object, seed: int
) -> None:
    rng = random.Random(seed)
    lines = damage(log.read_bytes().splitlines(keepends=True), rng)  # type: ignore[attr-defined]
    studies, reader = _resolve(lines)
    accounting = reader.accounting
    assert accounting.lines == len(lines)
    assert accounting.accounted == len(lines)
    for study in studies:
        denied = {
            row: why
            for row, trial in enumerate(study.trials)
            if not trial.record.problems and (why := _denied(trial))
        }
        if denied:  # only then is it worth the time to see whether validation keeps them out
            errors = validate(study).errors
            assert not {row: why for row, why in denied.items() if row not in errors}


@given(st.lists(st.binary(max_size=300), max_size=50), st.randoms(use_true_random=False))
def test_any_bytes(junk: list[bytes], rng: random.Random) -> None:
    lines = LOGS[0].read_bytes().splitlines(keepends=True)
    for piece in junk:
        lines.insert(rng.randrange(len(lines)), piece.replace(b"\n", b"") + b"\n")
    _, reader = _resolve(lines)
    assert reader.accounting.accounted == len(lines)


def test_colours_progress_bars_and_strange_bytes_hide_nothing(collect: Collect) -> None:
    bar = b"\r 10%|#   | 1/10 [00:01<00:09, 1.0it/s]"
    lines = [line.encode() for line in (CREATED, start(0, 1), finish(0, 2))]
    dirty = b"\xff\xfe junk\n" + b"\x1b[32m" + lines[0] + b"\x1b[0m\n" + bar + b"\r" + lines[1]
    dirty += b"\r\n" + bar + lines[2] + b"\n" + bar + b"\n"
    assert only(collect(dirty)).state is TrialState.COMPLETE


def test_a_line_that_the_file_ends_in_is_not_trusted(collect: Collect) -> None:
    whole = log(CREATED, start(0, 1), finish(0, 2), start(1, 3, "batch_size=512"))
    [accounting] = collect(whole[:-2]).accounting  # batch_size=51
    assert dict(accounting.rejected) == {"the file ends within the trial's line": 1}


@pytest.mark.parametrize(
    "line",
    [
        finish(0, 2, more="'dropout': 'much'"),
        finish(0, 2, more="'epochs': __import__('os')"),
        f"Trial 0 ended: state=RUNNING, started={MOMENT}, ended={MOMENT}.",
        f"Trial 0: arch_idx=1, d_ff={'9' * 5000}, started={MOMENT}.",
    ],
)
def test_nonsense_is_neither_believed_nor_fatal(collect: Collect, line: str) -> None:
    collection = collect(log(CREATED, line, start(1, 3), finish(1, 4)))
    assert all(a.lines == a.accounted for a in collection.accounting)
    for name, records in collection.studies.items():
        validate(resolve(name, records))

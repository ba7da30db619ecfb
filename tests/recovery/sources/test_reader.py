"""Any bytes, damaged logs too: nothing is raised, no line is lost, no value, state or study is
written that the whole log denies. What a log went through undamaged changes nothing.

`HYPOTHESIS_PROFILE=long` tries 2 000 damages of each kind.
"""

import io
import random
import re
from collections.abc import Callable
from datetime import UTC
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recovery.checks.validate import validate
from recovery.records import TimesFrom, TrialRecord
from recovery.resolve import ResolvedStudy, ResolvedTrial, resolve
from recovery.sources.collect import Collector
from recovery.sources.find import find_logs
from recovery.sources.reader import LogReader, read_log

from mlproject.tracking.names import Metric, TrialState
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
        kept = rng.randint(0, len(lines[place]))
        # A number that lost its last digits on a line that is not said twice is like any other.
        while b": arch_idx=" in lines[place] and lines[place][kept - 1 : kept + 1].isdigit():
            kept -= 1
        damaged[place] = lines[place][:kept].rstrip(b"\n") + end
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
    other = _lines_of(LOGS[rng.randrange(len(LOGS))])
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


def _lose_heading(lines: Lines, rng: random.Random) -> Lines:
    """From one trial's first line to another's, over the heading of a study."""
    starts = [place for place, line in enumerate(lines) if b": arch_idx=" in line]
    heading = rng.choice([p for p, line in enumerate(lines) if b"A new study created" in line])
    before = [place for place in starts if place < heading] or [0]
    after = [place for place in starts if place > heading] or [len(lines)]
    return lines[: rng.choice(before)] + lines[rng.choice(after) :]


DAMAGES = [
    _lose_heading,
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
def _lines_of(path: Path) -> tuple[bytes, ...]:
    """A genuine log in which some trials were pruned and others failed."""
    return tuple(map(_with_another_end, path.read_bytes().splitlines(keepends=True)))


def _with_another_end(line: bytes) -> bytes:
    match = re.match(rb"(\[I [^]]*\] )(Trial (\d+)) finished .*(\{.*\})", line)
    number = int(match[3]) if match else 0
    if match and number % 9 == 4:
        return b"%b%b pruned. \n" % (match[1], match[2])
    if match and number % 9 == 7:
        because = b"because of the following error: ValueError('no')."
        return b"%b%b failed with parameters: %b %b\n" % (match[1], match[2], match[4], because)
    return line


@cache
def _untouched() -> dict[tuple[str, int], ResolvedTrial]:
    trials = {}
    for path in LOGS:
        for study in _resolve(list(_lines_of(path)))[0]:
            for trial in study.trials:
                trials[study.study_name, trial.record.trial_number] = trial
    return trials


def _resolve(lines: Lines) -> tuple[list[ResolvedStudy], LogReader]:
    records, reader = read_log(b"".join(lines))
    studies: dict[str, list[TrialRecord]] = {}
    ended = {record.start_fingerprint for record in records if not record.unfinished}
    for record in records:
        if record.unfinished and record.start_fingerprint in ended:
            continue  # the two are one: see `recovery.sources.collect`
        keys = ((record.launch, None), (record.launch, record.trial_number))
        if not any(key in reader.distrusted for key in keys):
            studies.setdefault(record.study_name, []).append(record)
    return [resolve(name, found) for name, found in studies.items()], reader


def _denied(trial: ResolvedTrial, log: bytes) -> str | None:  # noqa: PLR0911 - one reason each
    """What the untouched log, or another line of this one, says against a trial, if anything."""
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
        value = genuine.metrics.get(Metric.BEST_VAL_LOSS)
        end = f"Trial {record.trial_number} finished with value: {value!r} "
        return "its end is there" if value is not None and end.encode() in log else None
    if record.times_from is TimesFrom.LOG and record.ended_ms != genuine.record.ended_ms:
        return "it ended at another time"
    if record.state is not genuine.record.state:
        return f"its state is {record.state}"
    if not trial.metrics.items() <= genuine.metrics.items():
        return f"its metrics are {trial.metrics}"
    return None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
@given(log=st.sampled_from(LOGS), seed=st.integers(0, 2**32 - 1))
def test_a_damaged_log(
    damage: Callable[[Lines, random.Random], Lines], log: Path, seed: int
) -> None:
    rng = random.Random(seed)
    lines = damage(list(_lines_of(log)), rng)
    whole = b"".join(lines)
    studies, reader = _resolve(lines)
    accounting = reader.accounting
    assert accounting.lines == len(lines)
    assert accounting.accounted == len(lines)
    for study in studies:
        denied = {
            row: why
            for row, trial in enumerate(study.trials)
            if not trial.record.problems and (why := _denied(trial, whole))
        }
        if denied:  # only then is it worth the time to see whether validation keeps them out
            errors = validate(study).errors
            assert not {row: why for row, why in denied.items() if row not in errors}


def _prefixed(lines: Lines, rng: random.Random) -> Lines:
    kinds: list[Callable[[int], str]] = [
        lambda n: f"2026-11-27T18:{n // 60 % 60:02d}:{n % 60:02d}.{n:09d}Z ",
        lambda n: f"2026-11-27T18:{n % 60:02d}:00{'.5' * (n % 2)}Z stdout F ",
        lambda n: f"Nov {n % 28 + 1:2d} 18:59:{n % 60:02d} gpu-box python[4711]: ",
        lambda _: "trainer-1  | ",
        lambda n: f"{n}:",
    ]
    kind = rng.choice(kinds)
    return [kind(number).encode() + line for number, line in enumerate(lines, 1)]


def _wrapped(lines: Lines, rng: random.Random) -> Lines:
    columns = rng.randint(60, 180)
    pieces: Lines = []
    for line in lines:
        text = line.decode().rstrip("\n")
        parts = [text[at : at + columns] for at in range(0, len(text), columns)] or [""]
        pieces += [f"{part}\n".encode() for part in parts]
    return pieces


def _rotated(lines: Lines, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.sample(range(len(lines)), rng.randint(1, 3)))
    return [b"".join(lines[a:b]) for a, b in pairwise([0, *cuts, len(lines)])]


def _windows(lines: Lines, rng: random.Random) -> bytes:
    text = b"".join(lines).decode().replace("\n", rng.choice(["\n", "\r\n"]))
    return rng.choice(
        [text.encode("utf-8-sig"), text.encode("utf-16"), b"\xfe\xff" + text.encode("utf-16-be")]
    )


JOURNEYS: list[Callable[[Lines, random.Random], list[bytes]]] = [
    lambda lines, rng: [b"".join(_prefixed(lines, rng))],
    lambda lines, rng: [b"".join(_wrapped(lines, rng))],
    _rotated,
    lambda lines, rng: [_windows(lines, rng)],
    lambda lines, rng: [b"".join(_wrapped(_prefixed(lines, rng), rng))],
]


@pytest.mark.parametrize(
    "journey", JOURNEYS, ids=["prefixed", "wrapped", "rotated", "windows", "prefixed and wrapped"]
)
@settings(max_examples=max(15, settings.default.max_examples // 10))
@given(log=st.sampled_from(LOGS), seed=st.integers(0, 2**32 - 1))
def test_what_a_log_went_through_changes_nothing(
    journey: Callable[[Lines, random.Random], list[bytes]],
    log: Path,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("journey")
    parts = journey(list(_lines_of(log)), random.Random(seed))
    for age, part in enumerate(reversed(parts)):
        (directory / f"a.log{f'.{age}' * bool(age)}").write_bytes(part)
    collector = Collector(zone=UTC)
    for files in find_logs([str(directory)]).logs:
        collector.add_log(files)
    collection = collector.collection()
    assert all(a.accounted == a.lines for a in collection.accounting)
    found = {
        (name, trial.record.trial_number): trial
        for name, records in collection.studies.items()
        for trial in resolve(name, records).trials
    }
    names = {line.split()[-1] for line in _lines_of(log) if b"A new study created" in line}
    genuine = {
        key: trial
        for key, trial in _untouched().items()
        if trial.record.logged_study_name.encode() in names
    }
    assert found.keys() == genuine.keys()
    for key, trial in found.items():
        other = genuine[key]
        assert (trial.params, trial.metrics) == (other.params, other.metrics)
        assert (trial.record.state, trial.record.problems) == (other.record.state, ())
        if trial.record.started_ms is None:
            # Where a prefix was wrapped too, it may not be told from the time stamp of the log.
            assert trial.record.outcome_fingerprint == other.record.outcome_fingerprint
        else:
            assert trial.record.start_fingerprint == other.record.start_fingerprint


def _maximising(lines: Lines) -> Lines:
    best = (-1, "0")
    turned = []
    for line in lines:
        match = re.match(rb"(.*Trial (\d+) finished with value: )(\S+)( .*Best is trial ).*", line)
        if match:
            number, value = int(match[2]), repr(1 / float(match[3]))
            if number == 0 or best[0] < 0 or float(value) > float(best[1]):
                best = (number, value)
            end = f"{best[0]} with value: {best[1]}.\n"
            line = match[1] + value.encode() + match[4] + end.encode()  # noqa: PLW2901
        turned.append(line)
    return turned


@settings(max_examples=max(15, settings.default.max_examples // 10))
@given(log=st.sampled_from(LOGS), seed=st.integers(0, 2**32 - 1))
def test_no_value_of_a_study_that_maximises_is_a_loss(log: Path, seed: int) -> None:
    """One value alone is like any other; two of one study show it."""
    lines = _drop_lines(_maximising(list(_lines_of(log))), random.Random(seed))
    for study in _resolve(lines)[0]:
        launches = [t.record.launch for t in study.trials if Metric.BEST_VAL_LOSS in t.metrics]
        assert len(launches) == len(set(launches))


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

"""Read logs block by block, in constant memory, into records, and account for every line.

Each line is shown to the one that it concerns, the trials of this project's own log or the studies
of a legacy one; what a line holds, and which trial it belongs to, is read there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from itertools import count

from mlproject.tracking.trial_log_lines import FIRST_NEW_FIELD, UnreadableLine
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources.legacy_log.studies import LegacyStudies
from recovery.sources.legacy_log.trials import DIED
from recovery.sources.lines import Noise, clean, noise_kind, split_stamp
from recovery.sources.trial_log.trials import LoggedTrials

_TRIAL = re.compile(rb"Trial (\d{1,9})(:| finished| pruned| failed| epoch| ended)")
_CREATED = re.compile(rb"A new study created in \S{1,60}(?: \S{1,60}){0,3} with name: (.{1,300})")
_REUSED = re.compile(rb"Using an existing study with (?:name '|`study_name=')(.{1,300}?)'")
_SECTION = re.compile(rb"\[\d{1,6}/\d{1,6}\] (Starting|PASSED|FAILED): (\S{1,200})")
_OUTPUT = re.compile(rb" {0,8}Output dir: .{0,500}/([^/]{1,300})")
_STARTING = re.compile(rb"Starting HPO: (\d{1,9}) trials")
_INJECTED = re.compile(rb".{0,8}Injected (\d{1,9}) trials into study", re.DOTALL)
_OF_THIS_PROJECT = FIRST_NEW_FIELD.encode()
_FORCED_DROPOUT = "→ Forced dropout=".encode()
_SPEAKS_OF_A_TRIAL = (b": arch_idx=", b" finished with value", b"Best is trial", b", val_loss=")

_MARKS = (
    b"Trial ",
    b"] ",
    b" study",
    b"Error",
    b"Forced",
    b"Output",
    b"Starting HPO",
    b"arch_idx=",
    b"Best is",
    b", val_loss=",
)
"""Fast filter: a line with none of these is noise, as most lines of most logs are."""

_BARS = (b"%|", b"it/s", b"\r", b"\x1b", b"Error: ")
"""A block with any of these has its noise told apart line by line."""


class LogReader:
    """The reader of one log; `accounting` and `distrusted` are whole when it has been read."""

    def __init__(
        self, source: str, zone: tzinfo, launch_ids: Iterator[int], seen: set[int]
    ) -> None:
        """`launch_ids` and `seen` (hashes of trials' lines) are shared by all sources."""
        self.accounting = Accounting(source=source)
        self._logged = LoggedTrials(source, LaunchId(next(launch_ids)), self.accounting)
        self._legacy = LegacyStudies(self.accounting, zone, launch_ids, seen)

    @property
    def distrusted(self) -> dict[tuple[LaunchId, int | None], str]:
        """Trials that later lines discredit; a whole launch where the number is None."""
        return self._legacy.distrusted

    def read(self, blocks: Iterable[bytes]) -> Iterator[TrialRecord]:
        """Yield the records of all trials, each when nothing can be added to it.

        `blocks` are whole lines, but for the end of the last one.
        """
        for block in blocks:
            lines = block.split(b"\n")
            if not lines[-1]:
                lines.pop()
            self._read_lines(lines, block)
            self.accounting.lines += len(lines)
            yield from self._legacy.take_records()
        self._legacy.end(DIED)
        records = [*self._legacy.take_records(), *self._logged.records()]
        self.accounting.trials += len(self._logged)
        yield from records

    def _read_lines(self, lines: Sequence[bytes], block: bytes) -> None:
        # What is nowhere in a block need not be looked for in each of its lines.
        is_clean = b"\r" not in block and b"\x1b" not in block
        marks = [mark for mark in _MARKS if mark in block]
        if not marks:
            self._count_noise(lines, block, is_clean=is_clean)
            return
        noise = []
        first = self.accounting.lines + 1
        last = first + len(lines) - 1 if block[-1:] != b"\n" else None
        for number, line in enumerate(lines, first):
            for mark in marks:
                if mark in line:
                    cleaned = line if is_clean else clean(line)
                    self._read_line(cleaned, number, whole=number != last)
                    break
            else:
                noise.append(line)
        self._count_noise(noise, block, is_clean=is_clean)

    def _count_noise(self, lines: Sequence[bytes], block: bytes, *, is_clean: bool) -> None:
        """Lines without any mark, told apart at once where nothing in the block is unusual."""
        counts = self.accounting.noise
        if block.isascii() and not any(bar in block for bar in _BARS):
            # A line that begins with a letter is then neither ruler nor traceback.
            rest = [line for line in lines if line[:1] <= b"@"]
            counts[Noise.RUNNER] += len(lines) - len(rest)
            lines = rest
        for line in lines:
            cleaned = line if is_clean else clean(line)
            counts[noise_kind(cleaned, has_stamp=False)] += 1

    def _read_line(self, line: bytes, number: int, *, whole: bool) -> None:
        stamp, body = split_stamp(line)
        legacy = self._legacy
        if match := _TRIAL.match(body):
            self._read_trial_line(match, stamp, body, number, whole=whole)
        elif match := _CREATED.fullmatch(body) or _REUSED.match(body):
            study = legacy.name_study(_text(match[1]), stamp, is_new=body.startswith(b"A"))
            self._logged.enter_study(study)
            self.accounting.noise[Noise.SECTION] += 1
        elif match := _SECTION.fullmatch(body):
            legacy.section(_text(match[1]), _text(match[2]))
            self.accounting.noise[Noise.SECTION] += 1
        elif _FORCED_DROPOUT in body:
            legacy.read_forced_dropout(body, stamp, number)
        elif any(part in body for part in _SPEAKS_OF_A_TRIAL):
            legacy.reject("speaks of a trial, but cannot be read", number)
        else:
            if match := _INJECTED.match(body):
                legacy.injected(int(match[1]))
            elif match := _STARTING.match(body):
                legacy.starting(int(match[1]))
            elif match := _OUTPUT.fullmatch(body):
                legacy.see_name(_text(match[1]))
            elif b"Error: " in body and not body.startswith(b" "):
                legacy.see_error(_text(body))
            self.accounting.noise[noise_kind(body, has_stamp=stamp is not None)] += 1

    def _read_trial_line(
        self, match: re.Match[bytes], stamp: bytes | None, body: bytes, number: int, *, whole: bool
    ) -> None:
        trial_number, kind = int(match[1]), match[2]
        try:
            is_logged = kind in (b" epoch", b" ended") or (
                kind == b":" and _OF_THIS_PROJECT in body
            )
            if is_logged:
                self._logged.add(body.decode(), number)
            elif self._logged.owns(trial_number):
                self._logged.add_optuna_line()
            elif kind == b":":
                if not whole:
                    raise UnreadableLine("the file ends within the trial's line")
                self._legacy.start_trial(trial_number, stamp, body, number)
            else:
                self._legacy.end_trial(trial_number, stamp, body, number)
        except UnreadableLine as error:
            self._legacy.reject(str(error), number, trial_number)
        except UnicodeDecodeError:
            self._legacy.reject("not text", number, trial_number)
        if stamp is not None:
            self._legacy.see_time(stamp)


def read_log(
    content: bytes, source: str = "log", zone: tzinfo = UTC
) -> tuple[list[TrialRecord], LogReader]:
    """Read one log whole: its records, and the reader with accounting and distrusted trials."""
    reader = LogReader(source, zone, count(1), set())
    return list(reader.read([content] if content else [])), reader


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")

"""Read logs block by block, in constant memory, into records, and account for every line.

Each line is shown to the one that it concerns, the trials of this project's own log or the studies
of a legacy one; what a line holds, and which trial it belongs to, is read there.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, tzinfo
from itertools import count

from mlproject.tracking.trial_log_lines import UnreadableLine
from recovery import study_names
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources import line_kinds as kinds
from recovery.sources.legacy_log.studies import LegacyStudies
from recovery.sources.legacy_log.trials import DIED
from recovery.sources.lines import UNUSUAL, Noise, clean, noise_kind, split_stamp
from recovery.sources.transit.restore import Restoration
from recovery.sources.trial_log.trials import LoggedTrials
from recovery.sources.zones import zone_remark

_BLANKS = (b" ", b"\t")
_FAILED = b" failed"
_End = tuple[bytes | None, bytes, int]
"""The time, the text and the number of a line."""
_ESCAPED = (b"&#x27;", b"&#39;", b"&apos;", b"&quot;")


class LogReader:
    """The reader of one log; `accounting` and `distrusted` are whole when it has been read."""

    def __init__(
        self, source: str, zone: tzinfo, launch_ids: Iterator[int], seen: set[int]
    ) -> None:
        """`launch_ids` and `seen` (hashes of trials' lines) are shared by all sources."""
        self.accounting = Accounting(source=source)
        self._zone = zone
        self._logged = LoggedTrials(source, LaunchId(next(launch_ids)), self.accounting)
        self._legacy = LegacyStudies(self.accounting, zone, launch_ids, seen)
        self._restoration = Restoration(self.accounting)
        self._may_be_escaped = False
        self._early_ends: dict[int, list[_End]] = {}
        """Ends of trials of which nothing was seen, by number: a trial of this project's that was
        interrupted before its own first line has one further on."""

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
            yield from self._legacy.take_records()
        self._read_restored(self._restoration.rest(), ends_whole=True)
        yield from self.end(DIED)

    def end(self, death: str) -> Iterator[TrialRecord]:
        """Yield the records of trials that have not ended; they died of `death`."""
        self._take_early_ends()
        self._legacy.end(death)
        records = [*self._legacy.take_records(), *self._logged.records()]
        self.accounting.trials += len(self._logged)
        yield from records

    def break_off(self) -> Iterator[TrialRecord]:
        """Yield what is left when the log cannot be read to its end, which is then not known."""
        self._legacy.break_off()
        yield from self.end(DIED)

    def _read_lines(self, lines: list[bytes], block: bytes) -> None:
        # What is nowhere in a block need not be looked for in each of its lines.
        self._may_be_escaped = b"&" in block
        marks = [mark for rare, mark in kinds.MARKS if rare in block and mark in block]
        if self._restoration.is_needed(lines, block, has_marks=bool(marks)):
            restored = self._restoration.restore(lines)
            self._read_restored(restored, ends_whole=block[-1:] == b"\n")
            return
        is_clean = not any(sign in block for sign in UNUSUAL)
        accounting = self.accounting
        first = accounting.lines + 1
        accounting.lines += len(lines)
        if not marks:
            self._count_noise(lines, block, is_clean=is_clean)
            return
        noise = []
        last = accounting.lines if block[-1:] != b"\n" else None
        for number, line in enumerate(lines, first):
            for mark in marks:
                if mark in line:
                    cleaned = line if is_clean else clean(line)
                    self._read_line(cleaned, number, whole=number != last)
                    break
            else:
                noise.append(line)
        self._count_noise(noise, block, is_clean=is_clean)

    def _read_restored(self, lines: Sequence[bytes | None], *, ends_whole: bool) -> None:
        """Lines of which something was taken off, or that were joined (None: part of the last)."""
        accounting = self.accounting
        first = accounting.lines + 1
        accounting.lines += len(lines)
        for number, line in enumerate(lines, first):
            if line is None:
                accounting.noise[Noise.WRAPPED] += 1
            elif any(mark in line for _, mark in kinds.MARKS):
                self._read_line(line, number, whole=ends_whole or number != accounting.lines)
            else:
                accounting.noise[noise_kind(line, has_stamp=False)] += 1

    def _count_noise(self, lines: Sequence[bytes], block: bytes, *, is_clean: bool) -> None:
        """Lines without any mark, told apart at once where nothing in the block is unusual."""
        counts = self.accounting.noise
        if block.isascii() and not any(bar in block for bar in kinds.BARS):
            # A line that begins with a letter is then neither ruler nor traceback.
            rest = [line for line in lines if line[:1] <= b"@"]
            counts[Noise.RUNNER] += len(lines) - len(rest)
            lines = rest
        for line in lines:
            cleaned = line if is_clean else clean(line)
            counts[noise_kind(cleaned, has_stamp=False)] += 1

    def _read_line(self, line: bytes, number: int, *, whole: bool) -> None:
        stamp, body = split_stamp(line)
        if body.endswith(_BLANKS):
            body = self._without_blanks(body)
        if self._may_be_escaped and b"&" in body:
            body = self._unescaped(body)
        legacy = self._legacy
        if match := kinds.TRIAL.match(body):
            self._read_trial_line(match, stamp, body, number, whole=whole)
        elif match := kinds.CREATED.fullmatch(body) or kinds.REUSED.match(body):
            name = _text(match[1])
            if study_names.from_logged_name(name) != self._logged.study:
                self._take_early_ends()
            study = legacy.name_study(name, stamp, is_new=body.startswith(b"A"))
            self._logged.enter_study(study)
            self.accounting.noise[Noise.SECTION] += 1
        elif match := kinds.SECTION.fullmatch(body):
            self._take_early_ends()
            legacy.section(_text(match[1]), _text(match[2]))
            self.accounting.noise[Noise.SECTION] += 1
        elif kinds.FORCED_DROPOUT in body or (b"Forced" in body and b"diversity" in body):
            legacy.read_forced_dropout(body, stamp, number)
        elif any(part in body for part in kinds.SPEAKS_OF_A_TRIAL):
            legacy.reject("speaks of a trial, but cannot be read", number)
        else:
            self._read_other_line(body, number)
            self.accounting.noise[noise_kind(body, has_stamp=stamp is not None)] += 1

    def _read_other_line(self, body: bytes, number: int) -> None:
        legacy = self._legacy
        if match := kinds.INJECTED.match(body):
            legacy.injected(int(match[1]))
        elif match := kinds.STARTING.match(body):
            legacy.starting(int(match[1]))
        elif match := kinds.OUTPUT.fullmatch(body):
            legacy.see_name(_text(match[1]))
        elif kinds.COMPLETE in body:
            legacy.see_end()
        elif (b"Error: " in body or body == b"KeyboardInterrupt") and not body.startswith(b" "):
            legacy.see_error(_text(body))
        elif b"Time: " in body and (match := kinds.CLOCK.fullmatch(body)):
            remark = zone_remark(match[1].decode(), self._zone)
            if remark:
                self.accounting.remark(remark, number)

    def _read_trial_line(
        self, match: re.Match[bytes], stamp: bytes | None, body: bytes, number: int, *, whole: bool
    ) -> None:
        trial_number, kind = int(match[1]), match[2]
        is_start = kind in (b":", b" starting:")
        try:
            is_logged = kind in (b" epoch", b" ended") or (
                kind == b":" and kinds.OF_THIS_PROJECT in body
            )
            if is_logged:
                self._logged.add(body.decode(), number)
                for _ in self._early_ends.pop(trial_number, ()):
                    self._logged.add_optuna_line()
            elif self._logged.owns(trial_number):
                self._logged.add_optuna_line()
            elif is_start:
                if not whole:
                    raise UnreadableLine("the file ends within the trial's line")
                self._take_early_ends()
                self._legacy.start_trial(trial_number, stamp, body, number)
            elif kind == _FAILED and self._legacy.is_fresh and self._logged.study:
                self._early_ends.setdefault(trial_number, []).append((stamp, body, number))
                return
            else:
                self._legacy.end_trial(trial_number, stamp, body, number)
        except UnreadableLine as error:
            self._legacy.reject(str(error), number, trial_number, is_start=is_start)
        except UnicodeDecodeError:
            self._legacy.reject("not text", number, trial_number)
        if stamp is not None:
            self._legacy.see_time(stamp)

    def _take_early_ends(self) -> None:
        """Nothing shows that these trials are of this project."""
        early, self._early_ends = self._early_ends, {}
        for trial_number, ends in early.items():
            for stamp, body, number in ends:
                try:
                    self._legacy.end_trial(trial_number, stamp, body, number)
                except UnreadableLine as error:
                    self._legacy.reject(str(error), number, trial_number)
                if stamp is not None:
                    self._legacy.see_time(stamp)

    def _without_blanks(self, body: bytes) -> bytes:
        if not body.endswith(b" pruned. "):  # as Optuna writes it
            self.accounting.remark("blanks at the end of a line were taken off")
        return body.rstrip()

    def _unescaped(self, body: bytes) -> bytes:
        """A line that a web page escaped has none of the signs that it would have escaped."""
        if b"'" in body or not any(sign in body for sign in _ESCAPED):
            return body
        self.accounting.remark("signs escaped for HTML were read as what they stand for")
        return html.unescape(_text(body)).encode()


def read_log(
    content: bytes, source: str = "log", zone: tzinfo = UTC
) -> tuple[list[TrialRecord], LogReader]:
    """Read one log whole: its records, and the reader with accounting and distrusted trials."""
    reader = LogReader(source, zone, count(1), set())
    return list(reader.read([content] if content else [])), reader


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")

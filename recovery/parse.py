"""Read logs line by line, in constant memory, into records, and account for every line.

What a line looks like is in `lines`, `old_lines` and `own_lines`; this module knows which line
belongs to which trial of which study.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import count
from datetime import UTC, tzinfo

from recovery import study_names
from recovery.launches import Launch
from recovery.lines import Noise, clean, noise_kind, split_stamp
from recovery.old_lines import (
    StartLine,
    UnreadableLine,
    parse_forced_dropout,
    parse_outcome,
    parse_start,
)
from recovery.old_trials import DIED, SAMPLED, OldTrial, build_record
from recovery.own_lines import OWN_FIELD
from recovery.own_trials import OwnTrials
from recovery.records import Accounting, LaunchId, TrialRecord

_TRIAL = re.compile(rb"Trial (\d{1,9})(:| finished| pruned| failed| epoch| ended)")
_CREATED = re.compile(rb"A new study created in \S{1,60}(?: \S{1,60}){0,3} with name: (.{1,300})")
_REUSED = re.compile(rb"Using an existing study with (?:name '|`study_name=')(.{1,300}?)'")
_SECTION = re.compile(rb"\[\d{1,6}/\d{1,6}\] (Starting|PASSED|FAILED): (\S{1,200})")
_OUTPUT = re.compile(rb" {0,8}Output dir: .{0,500}/([^/]{1,300})")
_INJECTED = re.compile(rb".{0,8}Injected (\d{1,9}) trials into study", re.DOTALL)
_SPEAKS_OF_A_TRIAL = (b": arch_idx=", b" finished with value", b"Best is trial", b" val_loss=")
_CUT_OFF = "lines before it are lost, and with them perhaps the heading of its study"
_NOT_CREATED = "the line with which Optuna names its study is lost"
_NO_STUDY = "no line before it names the study"


class LogReader:
    """Reads the lines of one source; `accounting` and `distrusted` are whole at its end."""

    def __init__(
        self, source: str, zone: tzinfo, launch_ids: Iterator[int], seen: set[int]
    ) -> None:
        """`launch_ids` and `seen` (hashes of trials' lines) are shared by all sources."""
        self.accounting = Accounting(source=source)
        self.distrusted: dict[tuple[LaunchId, int | None], str] = {}
        """Trials that later lines discredit; a whole launch where the number is None."""
        self._zone = zone
        self._launch_ids = launch_ids
        self._seen = seen
        self._own = OwnTrials(source, LaunchId(next(launch_ids)), self.accounting)
        self._launch = self._new_launch(None, "", _NO_STUDY)
        self._named_by_section: list[LaunchId] = []
        self._created_studies = False

    def read(self, lines: Iterable[bytes]) -> Iterator[TrialRecord]:
        """Yield the records of all trials, each as soon as nothing can be added to it."""
        noise = self.accounting.noise
        number = 0
        for number, raw in enumerate(lines, 1):
            if b"Trial " not in raw and b"arch_idx=" not in raw:
                if len(raw) <= 2 and not raw.strip():
                    noise[Noise.BLANK] += 1
                    continue
                if (
                    b" study" not in raw
                    and b"] " not in raw
                    and b"Error" not in raw
                    and b"Forced" not in raw
                    and b"Output" not in raw
                ):
                    noise[noise_kind(clean(raw), has_stamp=False)] += 1
                    continue
            yield from self._read_line(raw, number)
        self.accounting.lines = number
        yield from self._end_launch(DIED)
        if self._created_studies:
            self.distrusted |= dict.fromkeys(
                ((launch, None) for launch in self._named_by_section), _NOT_CREATED
            )
        records = self._own.records()
        self.accounting.trials += len(records)
        yield from records

    def _read_line(self, raw: bytes, number: int) -> Iterator[TrialRecord]:
        stamp, body = split_stamp(clean(raw))
        if match := _TRIAL.match(body):
            whole = raw.endswith(b"\n")
            yield from self._read_trial_line(match, stamp, body, number, whole=whole)
        elif match := _CREATED.fullmatch(body):
            self._created_studies = True
            yield from self._name_study(match[1].decode("utf-8", "replace"), stamp)
        elif match := _REUSED.match(body):
            yield from self._name_study(match[1].decode("utf-8", "replace"), stamp)
            self._launch.first_number = None
        elif match := _SECTION.fullmatch(body):
            yield from self._section(match[1], match[2].decode("utf-8", "replace"))
        elif "→ Forced dropout=".encode() in body:
            self._read_forced_dropout(body, stamp, number)
        elif any(part in body for part in _SPEAKS_OF_A_TRIAL):
            self._reject("speaks of a trial, but cannot be read", number)
        else:
            if injected := _INJECTED.match(body):
                self._launch.first_number = int(injected[1])
            elif output := _OUTPUT.fullmatch(body):
                self._launch.see_name(output[1].decode("utf-8", "replace"))
            if b"Error: " in body and not body.startswith(b" "):
                self._launch.last_error = body.decode("utf-8", "replace")[:500]
            self.accounting.noise[noise_kind(body, has_stamp=stamp is not None)] += 1

    def _read_trial_line(
        self, match: re.Match[bytes], stamp: bytes | None, body: bytes, number: int, *, whole: bool
    ) -> Iterator[TrialRecord]:
        trial_number = int(match[1])
        launch = self._launch
        launch.seen.setdefault(trial_number)
        try:
            text = body.decode()
            if match[2] in (b" epoch", b" ended") or (
                match[2] == b":" and OWN_FIELD.encode() in body
            ):
                self._own.add(trial_number, text, number)
            elif self._own.owns(trial_number):
                self._own.add_optuna_line(trial_number)
            elif match[2] == b":":
                if not whole:
                    raise UnreadableLine("the file ends within the trial's line")
                self._start(trial_number, stamp, body, number, parse_start(text))
            else:
                yield from self._end_trial(trial_number, stamp, body, number, text)
        except (UnreadableLine, UnicodeDecodeError) as error:
            reason = str(error) if isinstance(error, UnreadableLine) else "not text"
            self._reject(reason, number, trial_number)
        if stamp is not None:
            launch.see_time(stamp, self._zone)

    def _start(
        self, trial_number: int, stamp: bytes | None, body: bytes, number: int, start: StartLine
    ) -> None:
        launch = self._launch
        key = _key(stamp, body)
        if trial_number in launch.open or trial_number in launch.closed:
            opened = launch.open.get(trial_number)
            known = (
                _key(opened.start_stamp, opened.start_body.encode())
                if opened
                else launch.closed[trial_number][0]
            )
            if known == key:
                self.accounting.repeated += 1
                return
            launch.distrust(f"trial {trial_number} stands there twice, with different values")
            self._reject("a second trial of the same number", number)
            return
        trial = OldTrial(
            number=trial_number,
            first_line=number,
            last_line=number,
            lines=1,
            start=start,
            start_body=body.decode(),
            start_stamp=stamp,
            stamp_before=launch.last_stamp,
        )
        if launch.forced_dropout is not None:
            values, _, line = launch.forced_dropout
            trial.forced_dropout, trial.first_line, trial.lines = values, line, 2
            launch.forced_dropout = None
        launch.open[trial_number] = trial

    def _end_trial(
        self, trial_number: int, stamp: bytes | None, body: bytes, number: int, text: str
    ) -> Iterator[TrialRecord]:
        launch = self._launch
        key = _key(stamp, body)
        if trial_number in launch.closed:
            if launch.closed[trial_number][1] == key:
                self.accounting.repeated += 1
            elif b" failed with value " in body:
                self.accounting.in_records += 1  # Optuna says it twice
            else:
                self.distrusted[launch.id, trial_number] = "it ends twice, in different ways"
                self._reject("a second end of the same trial", number)
            return
        outcome = parse_outcome(text)
        trial = launch.open.pop(trial_number, None) or OldTrial(
            number=trial_number,
            first_line=number,
            last_line=number,
            stamp_before=launch.last_stamp,
        )
        trial.outcome, trial.outcome_stamp = outcome, stamp
        trial.last_line, trial.lines = number, trial.lines + 1
        start_key = _key(trial.start_stamp, trial.start_body.encode()) if trial.start else None
        launch.closed[trial_number] = (start_key, key)
        if outcome.value is not None:
            launch.see_value(trial_number, outcome.value, outcome.best)
            launch.see_params(trial_number, set(outcome.params or ()) - set(SAMPLED))
        yield from self._emit(trial, key)

    def _read_forced_dropout(self, body: bytes, stamp: bytes | None, number: int) -> None:
        waiting = self._launch.forced_dropout
        key = _key(stamp, body)
        try:
            values = parse_forced_dropout(body.decode())
        except (UnreadableLine, UnicodeDecodeError):
            self._reject("the line of the forced dropout cannot be read", number)
            return
        if waiting is not None and waiting[1] == key:
            self.accounting.repeated += 1
            return
        self._drop_forced_dropout()
        self._launch.forced_dropout = (values, key, number)

    def _drop_forced_dropout(self) -> None:
        if self._launch.forced_dropout is not None:
            line = self._launch.forced_dropout[2]
            self.accounting.reject("a forced dropout that no trial follows", line)
            self._launch.forced_dropout = None

    def _name_study(self, name: str, stamp: bytes | None) -> Iterator[TrialRecord]:
        section = self._launch
        yield from self._end_launch(DIED)
        study_name = study_names.from_logged_name(name)
        self._own.enter_study(study_name)
        self._launch = self._new_launch(
            study_name, name[:500], f"{name[:60]!r} cannot name a study"
        )
        self._launch.last_stamp = stamp
        if section.is_fresh and section.study_name is not None:
            self._launch.see_name(section.study_name)
        self.accounting.noise[Noise.SECTION] += 1

    def _section(self, what: bytes, script: str) -> Iterator[TrialRecord]:
        script_study = study_names.from_script(script)
        if what != b"Starting" and script_study is not None:
            self._launch.see_name(script_study)
        if what == b"FAILED" and self._launch.last_error:
            yield from self._end_launch(f"the script failed: {self._launch.last_error}")
        elif what == b"PASSED":
            yield from self._end_launch(None)
        else:
            yield from self._end_launch(DIED)
        study_name = script_study if what == b"Starting" else None
        self._launch = self._new_launch(
            study_name, script, f"section {script[:60]!r} names no study that is known"
        )
        if study_name is not None:
            self._named_by_section.append(self._launch.id)
        self.accounting.noise[Noise.SECTION] += 1

    def _new_launch(self, study_name: str | None, logged_name: str, why: str) -> Launch:
        launch_id = LaunchId(next(self._launch_ids))
        return Launch(id=launch_id, study_name=study_name, logged_name=logged_name, why_unnamed=why)

    def _end_launch(self, death: str | None) -> Iterator[TrialRecord]:
        """Close the launch. `death` is what unfinished trials died of; None if none can have."""
        launch = self._launch
        self._drop_forced_dropout()
        newest = max(launch.open, default=None)
        for number in sorted(launch.open):
            trial = launch.open[number]
            if death is None or number != newest or any(n > number for n in launch.closed):
                trial.problems.append("its finish line is missing, though the study went on")
            start_key = _key(trial.start_stamp, trial.start_body.encode())
            yield from self._emit(trial, b"", start_key, death or DIED)
        if launch.disorder:
            self.distrusted[launch.id, None] = launch.disorder
        for number, name in launch.misspelt():
            self.distrusted[launch.id, number] = f"no other trial of its study has a {name!r}"
        for number in launch.cut_off():
            self.distrusted[launch.id, number] = _CUT_OFF

    def _emit(
        self, trial: OldTrial, end_key: bytes, start_key: bytes = b"", death: str = DIED
    ) -> Iterator[TrialRecord]:
        launch = self._launch
        if launch.study_name is None:
            self.accounting.reject(launch.why_unnamed, trial.first_line, trial.lines)
            return
        start_key = start_key or _key(trial.start_stamp, trial.start_body.encode())
        # The stamp before an unstamped line decides its time, so it is part of what is repeated.
        key = hash((launch.study_name, start_key, end_key, trial.start_stamp or trial.stamp_before))
        if key in self._seen and not trial.problems:
            self.accounting.repeated += trial.lines
            return
        self._seen.add(key)
        self.accounting.in_records += trial.lines
        self.accounting.trials += 1
        record = build_record(
            trial,
            study_name=launch.study_name,
            logged_study_name=launch.logged_name,
            launch=launch.id,
            source=self.accounting.source,
            zone=self._zone,
            last_stamp=launch.last_stamp,
            death=death,
        )
        if trial.is_of_two:
            launch.suspect.add(record.trial_number)
        yield record

    def _reject(self, reason: str, number: int, trial_number: int | None = None) -> None:
        self.accounting.reject(reason, number)
        if trial_number is not None:
            self._launch.suspect.add(trial_number)
        problem = f"line {number} cannot be read and may be one of its lines"
        opened = self._launch.open.get(trial_number) if trial_number is not None else None
        if opened is not None:
            opened.problems.append(problem)
        else:
            self._launch.taint_open(problem)


def read_log(
    lines: Iterable[bytes], source: str = "log", zone: tzinfo | None = None
) -> tuple[list[TrialRecord], LogReader]:
    """Read one log whole: its records, and the reader with accounting and distrusted trials."""
    reader = LogReader(source, zone or UTC, count(1), set())
    return list(reader.read(lines)), reader


def _key(stamp: bytes | None, body: bytes) -> bytes:
    return (stamp or b"") + body

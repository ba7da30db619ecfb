"""Which line of an old log belongs to which trial of which launch of which study."""

from collections.abc import Iterator
from datetime import tzinfo

from mlproject.tracking.trial_log_lines import UnreadableLine
from recovery import study_names
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources.legacy_log.doubts import Doubts
from recovery.sources.legacy_log.launches import Launch
from recovery.sources.legacy_log.trial_lines import (
    parse_forced_dropout,
    parse_outcome,
    parse_start,
)
from recovery.sources.legacy_log.trials import DIED, LegacyTrial, build_record

_NO_STUDY = "no line before it names the study"
_FAILED = (
    "the script failed before the trial ended, and the log does not say why (killed or out of "
    "memory)"
)


class LegacyStudies:
    """The studies of one legacy log: takes in its lines, gives out the records of its trials."""

    def __init__(
        self, accounting: Accounting, zone: tzinfo, launch_ids: Iterator[int], seen: set[int]
    ) -> None:
        """`accounting` is the reader's; `launch_ids` and `seen` are shared by all sources."""
        self._doubts = Doubts()
        self._accounting = accounting
        self._zone = zone
        self._launch_ids = launch_ids
        self._seen = seen
        self._records: list[TrialRecord] = []
        self._launch = self._new_launch(None, "", _NO_STUDY)
        self._named_by_section: list[LaunchId] = []
        self._has_created_studies = False

    @property
    def distrusted(self) -> dict[tuple[LaunchId, int | None], str]:
        """Trials that later lines discredit; a whole launch where the number is None."""
        return self._doubts.distrusted

    @property
    def is_fresh(self) -> bool:
        """Whether no trial has been seen since a study was named."""
        return self._launch.is_fresh

    def take_records(self) -> list[TrialRecord]:
        """The records that were finished since the last call."""
        records, self._records = self._records, []
        return records

    def end(self, death: str) -> None:
        """The log ends; trials that have not ended died of `death`, or of the last error."""
        error = self._launch.last_error
        self._end_launch(f"the script failed: {error}" if error else death)
        if self._has_created_studies:
            self._doubts.of_sections(self._named_by_section)

    def break_off(self) -> None:
        """The rest of the log cannot be read, so what became of the open trials is not known."""
        for trial in self._launch.open.values():
            trial.problems.append("its log cannot be read to the end")

    def name_study(self, name: str, stamp: bytes | None, *, is_new: bool) -> str | None:
        """Optuna names a study, new or loaded; its trials follow. Return the study's own name."""
        section = self._launch
        self._end_launch(DIED)
        study_name = study_names.from_logged_name(name)
        self._launch = self._new_launch(study_name, name, f"{name[:60]!r} cannot name a study")
        self._launch.last_stamp = stamp
        if is_new:
            self._has_created_studies = True
            if section.is_fresh and section.study_name is not None:
                self._launch.see_name(section.study_name)
        else:
            self._launch.first_number = None
        return study_name

    def section(self, what: str, script: str) -> None:
        """The old runner starts a script, or says that it PASSED or FAILED."""
        script_study = study_names.from_script(script)
        starts = what == "Starting"
        if not starts and script_study is not None:
            self._launch.see_name(script_study)
        self._launch.has_ended = not starts
        error = self._launch.last_error
        if what == "PASSED":
            self._end_launch(None)
        elif what == "FAILED":
            self._end_launch(f"the script failed: {error}" if error else _FAILED)
        else:
            self._end_launch(DIED)
        study_name = script_study if starts else None
        why = (
            f"section {script[:60]!r} names no study that is known"
            if starts
            else f"no line between it and the end of {script[:60]} names the study"
        )
        self._launch = self._new_launch(study_name, script, why)
        if study_name is not None:
            self._named_by_section.append(self._launch.id)

    def injected(self, trials: int) -> None:
        """A study was resumed with the results of earlier trials, which have the first numbers."""
        self._launch.first_number = trials

    def starting(self, n_trials: int) -> None:
        """The script says how many trials it starts."""
        self._launch.n_trials = n_trials

    def see_name(self, name: str) -> None:
        """Another line names the study."""
        self._launch.see_name(name)

    def see_error(self, line: str) -> None:
        """A traceback ends with this line."""
        self._launch.last_error = line[:500]
        self._launch.has_ended = True

    def see_end(self) -> None:
        """The script says that the study is over."""
        self._launch.has_ended = True

    def see_time(self, stamp: bytes) -> None:
        """A trial's line has this time."""
        self._launch.see_time(stamp, self._zone)

    def start_trial(self, trial_number: int, stamp: bytes | None, body: bytes, number: int) -> None:
        """Take the first line of a trial.

        Raises:
            UnreadableLine: it is cut or garbled.
        """
        launch = self._launch
        launch.seen.setdefault(trial_number)
        launch.last_error, launch.has_ended = None, False
        start = parse_start(body)
        key = _key(stamp, start.text)
        if trial_number in launch.open or trial_number in launch.closed:
            opened = launch.open.get(trial_number)
            known = opened.start_key if opened else launch.closed[trial_number][0]
            if known == key:
                self._accounting.repeated += 1
                return
            launch.distrust(f"trial {trial_number} stands there twice, with different values")
            self.reject("a second trial of the same number", number)
            return
        trial = LegacyTrial(
            number=trial_number,
            first_line=number,
            last_line=number,
            lines=1,
            start=start,
            start_key=key,
            start_body=start.text,
            start_stamp=stamp,
            stamp_before=launch.last_stamp,
        )
        if launch.forced_dropout is not None:
            values, _, line = launch.forced_dropout
            trial.forced_dropout = values
            if values is None:
                trial.is_dropout_doubtful = True
            else:
                trial.first_line, trial.lines = line, 2
            launch.forced_dropout = None
        launch.open[trial_number] = trial

    def end_trial(self, trial_number: int, stamp: bytes | None, body: bytes, number: int) -> None:
        """Take the line with which Optuna ends a trial.

        Raises:
            UnreadableLine: it is cut or garbled.
        """
        launch = self._launch
        launch.seen.setdefault(trial_number)
        key = _key(stamp, body)
        if trial_number in launch.closed:
            known = launch.closed[trial_number][1] or b""
            if known == key or (stamp is None and known.endswith(body)):
                self._accounting.repeated += 1
            elif b" failed with value " in body:
                self._accounting.in_records += 1  # Optuna says it twice
            else:
                self._doubts.see_second_end(launch, trial_number, body)
                self.reject("a second end of the same trial", number)
            return
        outcome = parse_outcome(body)
        trial = launch.open.pop(trial_number, None) or LegacyTrial(
            number=trial_number,
            first_line=number,
            last_line=number,
            stamp_before=launch.last_stamp,
        )
        trial.outcome, trial.outcome_stamp = outcome, stamp
        trial.last_line, trial.lines = number, trial.lines + 1
        launch.closed[trial_number] = (trial.start_key, key)
        launch.has_ended = False
        if trial.start is None:
            launch.without_start.add(trial_number)
            self._doubts.see_stray_end(trial_number)
        if outcome.value is not None:
            launch.see_value(trial_number, outcome.value, outcome.best)
            launch.see_params(trial_number, outcome.params or ())
        elif outcome.params:
            launch.see_failed_params(trial_number, outcome.params)
        self._finish(trial, key, DIED)

    def read_forced_dropout(self, body: bytes, stamp: bytes | None, number: int) -> None:
        """Take the line that says that another dropout is used than was sampled."""
        waiting = self._launch.forced_dropout
        key = _key(stamp, body)
        try:
            values = parse_forced_dropout(body)
        except UnreadableLine as error:
            self._drop_forced_dropout()
            self.reject(str(error), number)
            self._launch.forced_dropout = (None, key, number)
            return
        if waiting is not None and waiting[1] == key:
            self._accounting.repeated += 1
            return
        self._drop_forced_dropout()
        self._launch.forced_dropout = (values, key, number)

    def reject(
        self, reason: str, number: int, trial_number: int | None = None, *, is_start: bool = False
    ) -> None:
        """A line speaks of a trial, but is of no use; whose it is may not be known."""
        launch = self._launch
        self._accounting.reject(reason, number)
        if trial_number is not None:
            launch.seen.setdefault(trial_number)
            launch.suspect.add(trial_number)
            if is_start:
                launch.unread_starts.setdefault(trial_number, number)
        opened = launch.open.get(trial_number) if trial_number is not None else None
        for trial in [opened] if opened else launch.open.values():
            if trial is opened or not trial.problems:  # one doubt is enough
                trial.problems.append(f"line {number} cannot be read and may be one of its lines")

    def _drop_forced_dropout(self) -> None:
        if self._launch.forced_dropout is not None:
            values, _, line = self._launch.forced_dropout
            if values is not None:
                self._accounting.reject("a forced dropout that no trial follows", line)
            self._launch.forced_dropout = None

    def _new_launch(self, study_name: str | None, logged_name: str, why: str) -> Launch:
        return Launch(
            id=LaunchId(next(self._launch_ids)),
            study_name=study_name,
            logged_name=logged_name,
            why_unnamed=why,
        )

    def _end_launch(self, death: str | None) -> None:
        """Close the launch. `death` is what unfinished trials died of; None if none can have."""
        launch = self._launch
        self._drop_forced_dropout()
        newest = max(launch.open, default=None)
        left_open = list(launch.open)
        for number in sorted(launch.open):
            trial = launch.open[number]
            if death is None or number != newest or any(n > number for n in launch.closed):
                trial.problems.append("its finish line is missing, though the study went on")
            self._finish(trial, b"", death or DIED)
        self._doubts.end_launch(launch, left_open)

    def _finish(self, trial: LegacyTrial, end_key: bytes, death: str) -> None:
        launch, accounting = self._launch, self._accounting
        if launch.study_name is None:
            accounting.reject(launch.why_unnamed, trial.first_line, trial.lines)
            return
        # The stamp before an unstamped line decides its time, so it is part of what is repeated.
        time = trial.start_stamp or trial.stamp_before
        key = hash((launch.study_name, trial.start_key, end_key, time))
        if key in self._seen and not trial.problems:
            accounting.repeated += trial.lines
            return
        self._seen.add(key)
        accounting.in_records += trial.lines
        accounting.trials += 1
        self._records.append(
            build_record(
                trial,
                study_name=launch.study_name,
                logged_study_name=launch.logged_name,
                launch=launch.id,
                source=accounting.source,
                zone=self._zone,
                last_stamp=launch.last_stamp,
                death=death,
            )
        )
        if trial.disagreements:
            self._doubts.see_stray_end(trial.number)
        if trial.is_of_two:
            launch.suspect.add(trial.number)


def _key(stamp: bytes | None, body: bytes) -> bytes:
    return (stamp or b"") + body

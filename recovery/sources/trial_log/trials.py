"""The trials of this project's trial log, put together from their lines.

A trial's last line may stand launches after its first one, and the last of several counts, so
these are only whole when the log has been read. What a line holds is read by
`mlproject.tracking.trial_log_lines`.
"""

from dataclasses import dataclass, field

from mlproject.tracking.names import Origin, Param, Tag, TrialState
from mlproject.tracking.trial_log_lines import EpochLine, UnreadableLine, parse_line
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.trials import DIED
from recovery.study_names import is_safe


@dataclass(kw_only=True)
class _LoggedTrial:
    """The lines of one trial, as far as they have been read."""

    first_line: int
    last_line: int
    start: TrialRun | None = None
    end: TrialRun | None = None
    epochs: dict[int, EpochMetrics] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class LoggedTrials:
    """All trials that one source tells of in this project's own lines."""

    def __init__(self, source: str, launch: LaunchId, accounting: Accounting) -> None:
        """`accounting` is the one of the reader."""
        self._source = source
        self._launch = launch
        self._accounting = accounting
        self._study: str | None = None
        self._trials: dict[tuple[str, int], _LoggedTrial] = {}

    def enter_study(self, study_name: str | None) -> None:
        """The lines that follow belong to this study."""
        self._study = study_name

    @property
    def study(self) -> str | None:
        """The study whose trials follow; None until a line has named one."""
        return self._study

    def owns(self, trial_number: int) -> bool:
        """Whether Optuna's lines about this trial belong to a trial of this project."""
        return self._study is not None and (self._study, trial_number) in self._trials

    def add_optuna_line(self) -> None:
        """Take a line of Optuna's, which says nothing that the trial's own lines do not."""
        self._accounting.in_records += 1

    def add(self, body: str, number: int) -> None:
        """Take a line of a trial.

        Raises:
            UnreadableLine: it is cut or garbled, or no line says whose it is.
        """
        line = parse_line(body)
        if isinstance(line, TrialRun):
            _check_words(line)
            self._study = line.tags.get(Tag.STUDY_NAME, self._study)
        if self._study is None:
            raise UnreadableLine("no line before it names the study")
        trial = self._trials.setdefault(
            (self._study, line.trial_number), _LoggedTrial(first_line=number, last_line=number)
        )
        trial.last_line = number
        if isinstance(line, EpochLine):
            trial.epochs[line.losses.epoch] = line.losses
        elif line.state is not TrialState.RUNNING:
            trial.end = line
        elif trial.start in (None, line):
            trial.start = line
        else:
            trial.problems.append("two different trials of the study have this number")
        self._accounting.in_records += 1

    def __len__(self) -> int:
        """How many trials there are."""
        return len(self._trials)

    def records(self) -> list[TrialRecord]:
        """The records, once the source has been read."""
        return [
            self._record(study, number, trial) for (study, number), trial in self._trials.items()
        ]

    def _record(self, study_name: str, number: int, trial: _LoggedTrial) -> TrialRecord:
        start, end = trial.start, trial.end
        first = start or end
        problems = list(trial.problems)
        if start and end and start.started_ms != end.started_ms:
            problems.append("its first and its last line name different starts")
        if start is None and (end is None or trial.epochs or not end.params):
            problems.append("its first line is missing")
        tags = {**(start.tags if start else {}), **(end.tags if end else {})}
        tags |= {Tag.STUDY_NAME.value: study_name, Tag.ORIGIN.value: Origin.LOG.value}
        reason = tags.pop(Tag.FAILURE_REASON.value, None if end else DIED)
        started_ms = first.started_ms if first else None
        return TrialRecord(
            study_name=study_name,
            logged_study_name=study_name,
            launch=self._launch,
            trial_number=number,
            state=end.state if end else TrialState.FAIL,
            unfinished=end is None,
            failure_reason=reason,
            source=self._source,
            first_line=trial.first_line,
            last_line=trial.last_line,
            started_ms=started_ms,
            ended_ms=end.ended_ms if end else started_ms,
            params=first.params if first else {},
            metrics=end.metrics if end else {},
            epochs=tuple(trial.epochs[epoch] for epoch in sorted(trial.epochs)),
            tags=tags,
            problems=tuple(problems),
            start_fingerprint=fingerprints.of_own_start(study_name, number, started_ms),
        )


def _check_words(line: TrialRun) -> None:
    """Whatever wrote the line, its study's name can name a study; budget and task are part of it.

    Raises:
        UnreadableLine: one of them is no plain word.
    """
    found = (line.tags.get(Tag.STUDY_NAME), *map(line.params.get, (Param.BUDGET, Param.TASK)))
    if not all(is_safe(word) for word in found if isinstance(word, str)):
        raise UnreadableLine("a field of the line cannot be read")

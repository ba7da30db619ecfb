"""The trials of the project's own trial log, put together from their lines.

A trial's last line may stand launches after its first one, and the last of several counts, so
these are only whole when the log has been read.
"""

from dataclasses import dataclass, field

from mlproject.tracking.names import Origin, Tag, TrialState
from mlproject.training.epoch_losses import EpochLosses
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.trial_lines import UnreadableLine
from recovery.sources.legacy_log.trials import DIED
from recovery.sources.trial_log.lines import OwnLine, parse_epoch, parse_own


@dataclass(kw_only=True)
class _OwnTrial:
    first_line: int
    last_line: int
    start: OwnLine | None = None
    end: OwnLine | None = None
    epochs: dict[int, EpochLosses] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class OwnTrials:
    """All trials of own format in one source."""

    def __init__(self, source: str, launch: LaunchId, accounting: Accounting) -> None:
        """`accounting` is the one of the reader."""
        self._source = source
        self._launch = launch
        self._accounting = accounting
        self._study: str | None = None
        self._trials: dict[tuple[str, int], _OwnTrial] = {}

    def enter_study(self, study_name: str | None) -> None:
        """The lines that follow belong to this study."""
        self._study = study_name

    def owns(self, trial_number: int) -> bool:
        """Whether Optuna's lines about this trial belong to a trial of own format."""
        return self._study is not None and (self._study, trial_number) in self._trials

    def add_optuna_line(self, _trial_number: int) -> None:
        """Take a line of Optuna's, which says nothing that the trial's own lines do not."""
        self._accounting.in_records += 1

    def add(self, trial_number: int, body: str, number: int) -> None:
        """Take a line of a trial.

        Raises:
            UnreadableLine: it is cut or garbled, or no line says whose it is.
        """
        kind = body.split(" ", 3)[2]
        losses = parse_epoch(body) if kind == "epoch" else None
        line = None if losses else parse_own(body)
        if line is not None:
            self._study = line.tags.get(Tag.STUDY_NAME.value, self._study)
        if self._study is None:
            raise UnreadableLine("no line before it names the study")
        trial = self._trials.setdefault(
            (self._study, trial_number), _OwnTrial(first_line=number, last_line=number)
        )
        trial.last_line = number
        if losses is not None:
            trial.epochs[losses.epoch] = losses
        elif kind == "ended:":
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

    def _record(self, study_name: str, number: int, trial: _OwnTrial) -> TrialRecord:
        start, end = trial.start, trial.end
        first = start or end
        problems = list(trial.problems)
        if start and end and start.started_ms != end.started_ms:
            problems.append("its first and its last line name different starts")
        if start is None and (end is None or trial.epochs or not end.params):
            problems.append("its first line is missing")
        state = (end.state if end else None) or TrialState.FAIL
        tags = {**(start.tags if start else {}), **(end.tags if end else {})}
        tags |= {Tag.STUDY_NAME.value: study_name, Tag.ORIGIN.value: Origin.LOG.value}
        reason = tags.pop(Tag.FAILURE_REASON.value, None if end else DIED)
        started_ms = first.started_ms if first else None
        return TrialRecord(
            study_name=study_name,
            logged_study_name=study_name,
            launch=self._launch,
            trial_number=number,
            state=state,
            unfinished=end is None,
            failure_reason=reason,
            source=self._source,
            first_line=trial.first_line,
            last_line=trial.last_line,
            started_ms=started_ms,
            ended_ms=end.ended_ms if end else started_ms,
            params=(start or end or OwnLine(started_ms=0)).params,
            metrics=end.metrics if end else {},
            epochs=tuple(trial.epochs[epoch] for epoch in sorted(trial.epochs)),
            tags=tags,
            problems=tuple(problems),
            start_fingerprint=fingerprints.of_own_start(study_name, number, started_ms),
        )

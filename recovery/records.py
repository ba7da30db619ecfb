"""What a source tells of its trials: the records that parse hands to resolve."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from mlproject.tracking.names import Metric, Param, TrialState
from mlproject.training.epoch_metrics import EpochMetrics

LaunchId = NewType("LaunchId", int)
"""One launch of a study: from the line that names the study to the next such line."""


class TimesFrom(StrEnum):
    """How the start and end of a trial are known."""

    LOG = "log"
    NEIGHBOURS = "neighbouring lines"
    FILE = "time of the file's last trial"


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """Everything that one source says of one trial."""

    study_name: str
    """The name under which all projects' studies go: see `recovery.study_names`."""
    logged_study_name: str
    launch: LaunchId
    trial_number: int
    state: TrialState
    unfinished: bool = False
    """The source ends, or goes on with something else, before the trial does."""
    failure_reason: str | None = None
    source: str
    """Name of the file or storage."""
    first_line: int = 0
    """Lines are counted from 1; 0 where the source has no lines."""
    last_line: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    times_from: TimesFrom = TimesFrom.LOG
    params: Mapping[Param, int | float | str] = field(default_factory=dict)
    absent: Mapping[Param, str] = field(default_factory=dict)
    """Params that stay absent whatever else tells of them, and why."""
    metrics: Mapping[Metric, float] = field(default_factory=dict)
    objective: Metric = Metric.BEST_VAL_LOSS
    """Which of the metrics Optuna saw as the trial's value."""
    epochs: tuple[EpochMetrics, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    printed_learning_rate: float | None = None
    """The learning rate of the trial's line, rounded as it was printed."""
    sampled_dropout: float | None = None
    """The dropout that the sampler chose, where another one was used."""
    problems: tuple[str, ...] = ()
    """What this trial's own lines contradict each other in."""
    start_fingerprint: str | None = None
    """Known as soon as the trial has begun; the same in every copy and every longer log."""
    outcome_fingerprint: str | None = None
    """Of the sampled params and the value: the same in a log, a summary file and a storage."""
    sampled: Mapping[str, object] = field(default_factory=dict)
    """What the sampler chose, under its own names, as far as this source tells it."""

    @property
    def fingerprint(self) -> str:
        """What the trial is known by."""
        found = self.start_fingerprint or self.outcome_fingerprint
        assert found is not None
        return found


@dataclass(kw_only=True)
class Accounting:
    """Where the lines of one source went. Kept by the reader while it reads."""

    source: str
    lines: int = 0
    trials: int = 0
    in_records: int = 0
    repeated: int = 0
    """Lines of trials that the sources held before, word for word."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Lines that speak of a trial but cannot be used, by reason."""
    noise: Counter[str] = field(default_factory=Counter)
    examples: dict[str, int] = field(default_factory=dict)
    """The first line rejected for each reason."""
    remarks: Counter[str] = field(default_factory=Counter)
    """What was seen and done that changes no value, and how often."""
    failure: str | None = None
    """Why the source cannot be read, or not to its end."""

    @property
    def is_empty(self) -> bool:
        """Whether no trial was found, not even one that is known from elsewhere."""
        return not self.trials and not self.repeated

    @property
    def accounted(self) -> int:
        """Lines whose whereabouts are known; equals `lines` when a source has been read."""
        return (
            self.in_records + self.repeated + sum(self.rejected.values()) + sum(self.noise.values())
        )

    def remark(self, text: str, line: int | None = None, *, count: int = 1) -> None:
        """Count something that is worth saying, with the first line where it was seen."""
        self.remarks[text] += count
        if line is not None:
            self.examples.setdefault(text, line)

    def reject(self, reason: str, line: int, count: int = 1) -> None:
        """Count lines that cannot be used."""
        self.rejected[reason] += count
        self.examples.setdefault(reason, line)

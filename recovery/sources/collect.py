"""All sources of one call, read one after the other, each trial once."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import count
from pathlib import PurePath

from mlproject.tracking.names import Param
from mlproject.training.epoch_metrics import EpochMetrics
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources.files import STANDARD_INPUT, blocks_of, open_log
from recovery.sources.optuna.storage import read_storage
from recovery.sources.reader import LogReader
from recovery.sources.summary_file import read_summary_file


@dataclass(kw_only=True)
class Collection:
    """What the sources hold."""

    studies: dict[str, list[TrialRecord]]
    """The trials of each study, by launch and number."""
    accounting: list[Accounting]
    merged: int = 0
    """Trials that a source tells of although another one did."""

    @property
    def trials(self) -> int:
        """How many trials there are in all."""
        return sum(map(len, self.studies.values()))


@dataclass(kw_only=True)
class Collector:
    """What has been read so far: takes in source after source, and merges what two tell of."""

    zone: tzinfo
    accounting: list[Accounting] = field(default_factory=list)
    _launch_ids: Iterator[int] = field(default_factory=lambda: count(1))
    _seen_lines: set[int] = field(default_factory=set)
    _distrusted: dict[tuple[LaunchId, int | None], str] = field(default_factory=dict)
    _records: list[TrialRecord] = field(default_factory=list)
    _indices: dict[str, int] = field(default_factory=dict)
    """Where in `_records` the trial of a fingerprint is."""
    _merged: int = 0

    def add_file(self, path: str) -> None:
        """Read a log or a summary file.

        Raises:
            UnreadableLog: it cannot be read.
            BadSummaryFile: it is called a summary file but is none.
        """
        source = "stdin" if path == STANDARD_INPUT else PurePath(path).name
        with open_log(path) as stream:
            if path.endswith(".json"):
                launch = LaunchId(next(self._launch_ids))
                records = read_summary_file(stream, path, launch)
                self.accounting.append(Accounting(source=source, trials=len(records)))
                for record in records:
                    self._add(record)
                return
            reader = LogReader(source, self.zone, self._launch_ids, self._seen_lines)
            self.accounting.append(reader.accounting)
            for record in reader.read(blocks_of(stream)):
                self._add(record)
            self._distrusted |= reader.distrusted

    def add_storage(self, url: str) -> None:
        """Read an Optuna storage.

        Raises:
            UnreadableStorage: it cannot be read.
        """
        before = len(self._records) + self._merged
        for record in read_storage(url, self._launch_ids):
            self._add(record)
        found = len(self._records) + self._merged - before
        self.accounting.append(Accounting(source="Optuna storage", trials=found))

    def collection(self) -> Collection:
        """Everything read so far."""
        studies: dict[str, list[TrialRecord]] = defaultdict(list)
        for record in sorted(self._records, key=lambda r: (r.launch, r.trial_number)):
            studies[record.study_name].append(self._with_distrust(record))
        return Collection(studies=dict(studies), accounting=self.accounting, merged=self._merged)

    def _with_distrust(self, record: TrialRecord) -> TrialRecord:
        keys = ((record.launch, None), (record.launch, record.trial_number))
        reasons = [self._distrusted[key] for key in keys if key in self._distrusted]
        return replace(record, problems=(*record.problems, *reasons)) if reasons else record

    def _add(self, record: TrialRecord) -> None:
        keys = [k for k in (record.start_fingerprint, record.outcome_fingerprint) if k]
        indices = (self._indices[key] for key in keys if key in self._indices)
        index = next((p for p in indices if _may_be_one(self._records[p], record)), None)
        if index is None:
            index = len(self._records)
            self._records.append(record)
        else:
            self._merged += 1
            self._records[index] = merge(self._records[index], record)
        self._indices.update(dict.fromkeys(keys, index))


def merge(first: TrialRecord, second: TrialRecord) -> TrialRecord:
    """One record of what two sources say of the same trial; what they contradict is a problem."""
    main, other = sorted((first, second), key=_knowledge, reverse=True)
    outcomes = {main.outcome_fingerprint, other.outcome_fingerprint} - {None}
    problems = list(main.problems)
    if not other.unfinished and len(outcomes) > 1:
        problems.append(f"{other.source} tells of another end than {main.source}")
    problems += [
        f"{param} is {main.params[param]} in {main.source} and {value} in {other.source}"
        for param, value in other.params.items()
        if main.printed_learning_rate is None or other.printed_learning_rate is None
        if main.params.get(param, value) != value
    ]
    return replace(
        main,
        params={**other.params, **main.params},
        metrics={**other.metrics, **main.metrics},
        epochs=max(main.epochs, other.epochs, key=_known_losses),
        sampled_dropout=(
            main.sampled_dropout if Param.DROPOUT in main.params else other.sampled_dropout
        ),
        problems=tuple(problems),
        outcome_fingerprint=main.outcome_fingerprint or other.outcome_fingerprint,
        start_fingerprint=main.start_fingerprint or other.start_fingerprint,
    )


def _known_losses(epochs: tuple[EpochMetrics, ...]) -> int:
    return len(epochs) + sum(losses.train_loss is not None for losses in epochs)


def _may_be_one(first: TrialRecord, second: TrialRecord) -> bool:
    """A study repeated with the same seed has the same outcomes, but other starts."""
    starts = (first.start_fingerprint, second.start_fingerprint)
    return None in starts or starts[0] == starts[1]


def _knowledge(record: TrialRecord) -> tuple[bool, ...]:
    """The better source first: whole, finished, with the trial's own lines."""
    return (not record.problems, not record.unfinished, record.start_fingerprint is not None)

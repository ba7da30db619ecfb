"""All sources of one call, read one after the other, each trial once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import count

from mlproject.errors import UserError
from recovery.records import Accounting, LaunchId, TrialRecord
from recovery.sources.files import LogFile, UnreadableLog, blocks_of, open_log
from recovery.sources.line_kinds import MESSAGE
from recovery.sources.merge import may_be_one, merge, result_of
from recovery.sources.optuna.storage import UnreadableStorage, read_storage
from recovery.sources.reader import LogReader
from recovery.sources.summary_file import BadSummaryFile, read_summary_file
from recovery.sources.transit.encodings import BOM, decoded, without_zeros


@dataclass(kw_only=True)
class Collection:
    """What the sources hold."""

    studies: dict[str, list[TrialRecord]]
    """The trials of each study, by launch and number."""
    accounting: list[Accounting]
    merged: int = 0
    """Trials that a source tells of although another one did."""
    passed_over: tuple[str, ...] = ()
    """Files that were not read, since they hold no line of a study."""

    @property
    def trials(self) -> int:
        """How many trials there are in all."""
        return sum(map(len, self.studies.values()))


@dataclass(kw_only=True)
class Collector:
    """What has been read so far: takes in source after source, and merges what two tell of."""

    zone: tzinfo
    accounting: list[Accounting] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    """Why sources could not be read."""
    _launch_ids: Iterator[int] = field(default_factory=lambda: count(1))
    _seen_lines: set[int] = field(default_factory=set)
    _distrusted: dict[tuple[LaunchId, int | None], str] = field(default_factory=dict)
    _records: list[TrialRecord] = field(default_factory=list)
    _indices: dict[str, int] = field(default_factory=dict)
    """Where in `_records` the trial of a fingerprint is."""
    _merged: int = 0

    def add_file(self, path: str) -> None:
        """Read one log or summary file: see `add_log`."""
        self.add_log((LogFile(path=path),))

    def add_log(self, files: Sequence[LogFile]) -> None:
        """Read a log, from several files where it was rotated, or a summary file.

        One that cannot be read, or not to its end, is named in its accounting; what was read of it
        stays.
        """
        source = _name(files)
        if files[0].is_json:
            self._add_summary(files[0], source)
            return
        reader = LogReader(source, self.zone, self._launch_ids, self._seen_lines)
        self.accounting.append(reader.accounting)
        try:
            for record in reader.read(_blocks(files, reader.accounting)):
                self._add(record)
        except UnreadableLog as error:
            self._fail(reader.accounting, error)
            for record in reader.break_off():
                self._add(record)
        self._distrusted |= reader.distrusted

    def add_storage(self, url: str) -> None:
        """Read an Optuna storage; one that cannot be read is named in its accounting."""
        accounting = Accounting(source="Optuna storage")
        self.accounting.append(accounting)
        try:
            for record in read_storage(url, self._launch_ids):
                accounting.trials += 1
                self._add(record)
        except UnreadableStorage as error:
            self._fail(accounting, error)

    def _add_summary(self, file: LogFile, source: str) -> None:
        accounting = Accounting(source=source)
        self.accounting.append(accounting)
        launch = LaunchId(next(self._launch_ids))
        try:
            with open_log(file.path, file.member) as stream:
                text, _ = decoded(stream)
                unread: list[str] = []
                records = read_summary_file(text, file.path, launch, self.zone, unread.append)
        except (UnreadableLog, BadSummaryFile) as error:
            self._fail(accounting, error)
            return
        if unread:
            self._fail(accounting, BadSummaryFile(f"{file.path}: {unread[0]}"))
        accounting.trials = len(records)
        for record in records:
            self._add(record)

    def _fail(self, accounting: Accounting, error: UserError) -> None:
        accounting.failure = str(error)
        self.errors.append(error)

    def collection(self, passed_over: Sequence[str] = ()) -> Collection:
        """Everything read so far."""
        studies: dict[str, list[TrialRecord]] = defaultdict(list)
        for record in sorted(self._records, key=lambda r: (r.launch, r.trial_number)):
            studies[record.study_name].append(self._with_distrust(record))
        return Collection(
            studies=dict(studies),
            accounting=self.accounting,
            merged=self._merged,
            passed_over=tuple(passed_over),
        )

    def _with_distrust(self, record: TrialRecord) -> TrialRecord:
        keys = ((record.launch, None), (record.launch, record.trial_number))
        reasons = [self._distrusted[key] for key in keys if key in self._distrusted]
        return replace(record, problems=(*record.problems, *reasons)) if reasons else record

    def _add(self, record: TrialRecord) -> None:
        known_by = (record.start_fingerprint, record.outcome_fingerprint, result_of(record))
        keys = [key for key in known_by if key]
        indices = (self._indices[key] for key in keys if key in self._indices)
        index = next((p for p in indices if may_be_one(self._records[p], record)), None)
        if index is None:
            index = len(self._records)
            self._records.append(record)
        else:
            self._merged += 1
            self._records[index] = merge(self._records[index], record)
        self._indices.update(dict.fromkeys(keys, index))


def _name(files: Sequence[LogFile]) -> str:
    """All files of a rotated log have one name, and their lines are counted through."""
    names = [file.name for file in files]
    return "+".join(names) if len(names) < 4 else f"{names[0]}+…+{names[-1]}"


def _blocks(files: Sequence[LogFile], accounting: Accounting) -> Iterator[bytes]:
    """The blocks of all files, read as one; a new file begins a new line if a message begins it."""
    unended = b""
    for file in files:
        with open_log(file.path, file.member) as stream:
            text, encoding = decoded(stream)
            if encoding:
                accounting.remark(f"{file.name} is read as {encoding}")
            for block in blocks_of(text):
                if b"\0" in block:
                    block = without_zeros(block)  # noqa: PLW2901
                if unended and MESSAGE.match(block.removeprefix(BOM)):
                    yield unended + b"\n"
                    unended = b""
                joined = unended + block
                unended = b"" if joined.endswith(b"\n") else joined
                if not unended:
                    yield joined
    if unended:
        yield unended
    if files[-1].missing_next:
        raise UnreadableLog(
            f"the file that followed {files[-1].missing_next} when the log was rotated is missing"
        )

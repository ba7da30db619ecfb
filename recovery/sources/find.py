"""Which files are read: paths, directories and globs, and what rotation cut one log into."""

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import NamedTuple

from mlproject.errors import UserError
from recovery.sources.files import STANDARD_INPUT, LogFile, UnreadableLog, members_of, open_log
from recovery.sources.line_kinds import MESSAGE
from recovery.sources.transit.encodings import decoded

_LOG = r"\.(?:log|txt|out|err)"
_DATE = r"\d{4}-?\d\d-?\d\d(?:[-_T]?\d\d(?:[-:]?\d\d){0,2})?(?:[._]\d{1,6})?"
_ROTATED = re.compile(
    rf"(?P<base>.+?)(?:\.(?P<number>\d{{1,4}})|[-._](?P<date>{_DATE})|\.(?P<old>old|prev)"
    rf"|[-._]?part[-._]?(?P<part>\d{{1,4}})|(?<=.log)\.(?P<letters>[a-z]{{2}}))"
    rf"(?P<ending>{_LOG})?"
)
"""By logrotate, by loggers that keep the ending at the end, by `split`, or by hand."""
_LOG_SUFFIXES = (".log", ".txt", ".out", ".err")
_SUMMARY = "_all_trials.json"
_SUMMARY_WORDS = (b'"experiment"', b'"trials"', b'"trial_number"')
_MLFLOW_FOLDERS = ("mlruns", "mlartifacts")
"""What MLflow keeps there came from logs."""
MAX_NAMES = 10
"""Of files that are not read so many are named."""
_SNIFFED_BYTES = 1 << 16
"""How far a file is looked into that is no log by its name."""


class NoSuchLog(UserError):
    """A path or pattern that names no file."""


@dataclass(kw_only=True)
class Found:
    """What is to be read."""

    logs: list[tuple[LogFile, ...]]
    """Each the files of one log, the oldest first."""
    passed_over: list[str] = field(default_factory=list)
    """Files of directories that hold no line of a study."""


def find_logs(patterns: Sequence[str]) -> Found:
    """The logs that paths, directories and globs name, each once, in the order given.

    A file that is named is read whatever it is called; of a directory, what is a log by its name or
    by its first lines.

    Raises:
        NoSuchLog: one of them names none.
    """
    files: dict[LogFile, None] = {}
    passed_over: list[str] = []
    for pattern in patterns:
        if pattern == STANDARD_INPUT:
            found = [LogFile(path=pattern)]
        elif Path(pattern).is_dir():
            found, others = _of_directory(Path(pattern))
            passed_over += others
        else:
            found = [f for path in _expand(pattern) for f in members_of(path)]
        if not found:
            raise NoSuchLog(_not_there(pattern, passed_over))
        files.update(dict.fromkeys(found))
    return Found(logs=_joined(files), passed_over=passed_over)


def _not_there(pattern: str, passed_over: Sequence[str]) -> str:
    if passed_over:
        names = ", ".join(passed_over[:MAX_NAMES])
        return f"no file in {pattern} holds a line of a study: {names}"
    return f"no log at {pattern}: give a file, a directory, a glob, or - for stdin"


def _of_directory(directory: Path) -> tuple[list[LogFile], list[str]]:
    found, others = [], []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        for file in members_of(str(path)):
            if _is_log_by_name(file):
                found.append(file)
            elif _is_private(path.relative_to(directory)):
                continue
            elif _is_log_by_content(file):
                found.append(file)
            else:
                others.append(file.name)
    return found, others


def _is_log_by_name(file: LogFile) -> bool:
    name = PurePath(file.place).name
    rotated = _ROTATED.fullmatch(name)
    base = rotated["base"] if rotated else name
    return name.endswith((*_LOG_SUFFIXES, _SUMMARY)) or base.endswith(_LOG_SUFFIXES)


def _is_private(path: Path) -> bool:
    return any(part.startswith(".") or part in _MLFLOW_FOLDERS for part in path.parts)


def _is_log_by_content(file: LogFile) -> bool:
    with suppress(UnreadableLog), open_log(file.path, file.member) as stream:
        text, _ = decoded(stream)
        head = text.read(_SNIFFED_BYTES)
        if file.is_json:
            return all(word in head for word in _SUMMARY_WORDS)
        # A database holds such words too, among zeros.
        return b"\0" not in head and MESSAGE.search(head) is not None
    return False


def _expand(pattern: str) -> list[str]:
    if Path(pattern).exists():
        return [pattern]
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - may be absolute
    return sorted(match for match in matches if Path(match).is_file())


class _Age(NamedTuple):
    """Where a file stands among those of its log, the oldest first."""

    kind: str
    order: int | str

    def follows(self, other: "_Age") -> bool:
        """Whether nothing is missing between the two, as far as names tell."""
        if isinstance(self.order, int) and isinstance(other.order, int):
            return self.order == other.order + 1
        return self.order != other.order


def _joined(files: Iterable[LogFile]) -> list[tuple[LogFile, ...]]:
    """Put the files of a rotated log together, in the place of the first that was named."""
    groups: defaultdict[str, list[tuple[_Age | None, LogFile]]] = defaultdict(list)
    for file in files:
        base, age = _age(file)
        groups[base].append((age, file))
    return [chain for members in groups.values() for chain in _chains(members)]


def _age(file: LogFile) -> tuple[str, _Age | None]:
    """The name that all files of a log share, and which of them this one is; None is the newest."""
    rotated = None if file.is_json else _ROTATED.fullmatch(file.place)
    if rotated is None:
        return file.place, None
    base = rotated["base"] + (rotated["ending"] or "")
    number = rotated["number"] or ""
    if rotated["date"]:
        return base, _Age("date", rotated["date"])
    if rotated["old"]:
        return base, _Age("number", -1)
    if rotated["letters"]:
        first, second = (ord(letter) - ord("a") for letter in rotated["letters"])
        return base, _Age("part", 26 * first + second)
    if rotated["part"] or (len(number) > 1 and number[0] == "0"):  # as `split -d` counts
        return base, _Age("part", int(rotated["part"] or number))
    return base, _Age("number", -int(number))


def _chains(members: Sequence[tuple[_Age | None, LogFile]]) -> list[tuple[LogFile, ...]]:
    """The files of one name in the order of their ages, apart where one between is missing."""
    aged = [(age, file) for age, file in members if age is not None]
    newest = [file for age, file in members if age is None]
    kinds = {age.kind for age, _ in aged}
    if len(kinds) > 1 or (_Age("number", 0) in dict(aged) and not newest):
        return [(file,) for _, file in members]  # numbers and dates, or several windows' logs
    chains: list[list[LogFile]] = []
    last: _Age | None = None
    for age, file in sorted(aged, key=lambda each: each[0]):
        if last is not None and age.follows(last):
            chains[-1].append(file)
        else:
            _say_missing(chains, last, age)
            chains.append([file])
        last = age
    is_next = kinds <= {"date"} or (kinds == {"number"} and last in _NEWEST)
    if chains and newest and is_next:
        chains[-1].append(newest.pop(0))
    elif newest and kinds == {"number"}:
        _say_missing(chains, last, _Age("number", 0))
    return [*map(tuple, chains), *((file,) for file in newest)]


_NEWEST = (_Age("number", -1), _Age("number", 0))
"""Of the rotated files, that which the log itself follows: some count from 0."""


def _say_missing(chains: list[list[LogFile]], last: _Age | None, age: _Age) -> None:
    """Note on the last file so far that those between it and the next are not there."""
    if last is None or last.order == age.order:
        return
    file = chains[-1][-1]
    chains[-1][-1] = replace(file, missing_next=file.name)

"""Which files are read: paths, directories and globs, and what rotation cut one log into."""

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mlproject.errors import UserError
from recovery.sources.files import STANDARD_INPUT, LogFile, UnreadableLog, members_of, open_log
from recovery.sources.line_kinds import MESSAGE
from recovery.sources.transit.encodings import decoded

_ROTATED = re.compile(
    r"(?P<base>.+?)(?:\.(?P<number>\d{1,4})"
    r"|[-._](?P<date>\d{4}-?\d\d-?\d\d(?:[-_T]?\d\d(?:[-:]?\d\d){0,2})?))"
)
_LOG_SUFFIXES = (".log", ".txt", ".out", ".err")
_SUMMARY = "_all_trials.json"
_SUMMARY_WORDS = (b'"experiment"', b'"trials"', b'"trial_number"')
_MLFLOW_FOLDERS = ("mlruns", "mlartifacts")
"""What MLflow keeps there came from logs."""
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
            raise NoSuchLog(
                f"no log at {pattern}: give a file, a directory, a glob, or - for stdin"
            )
        files.update(dict.fromkeys(found))
    return Found(logs=_joined(files), passed_over=passed_over)


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


def _joined(files: Iterable[LogFile]) -> list[tuple[LogFile, ...]]:
    """Put the files of a rotated log together, in the place of the first that was named."""
    groups: defaultdict[str, list[tuple[tuple[int, str], LogFile]]] = defaultdict(list)
    for file in files:
        rotated = None if file.is_json else _ROTATED.fullmatch(file.place)
        if rotated is None:
            groups[file.place].append(((0, "~"), file))  # newer than any date
        elif rotated["number"]:
            groups[rotated["base"]].append(((-int(rotated["number"]), ""), file))
        else:
            groups[rotated["base"]].append(((0, rotated["date"]), file))
    return [chain for members in groups.values() for chain in _chains(members)]


def _chains(members: Sequence[tuple[tuple[int, str], LogFile]]) -> list[tuple[LogFile, ...]]:
    """The files of one name in the order of their ages, apart where one between is missing."""
    if len({age[0] < 0 for age, _ in members if age != (0, "~")}) > 1:
        return [(file,) for _, file in members]  # numbers and dates: who knows
    chains: list[list[LogFile]] = []
    last: tuple[int, str] | None = None
    for age, file in sorted(members, key=lambda each: each[0]):
        is_next = last is not None and age != last and age[0] - last[0] <= 1
        if is_next:
            chains[-1].append(file)
        else:
            chains.append([file])
        last = age
    return [tuple(chain) for chain in chains]

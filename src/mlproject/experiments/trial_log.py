"""The file of a trial log: a text that a person can follow, and the durable journal of a study.

Its lines are formatted and parsed in `mlproject.tracking.trial_log_lines`: the runs of a study can
be rebuilt from this file alone. They go through Optuna's logger, so they also stand between
Optuna's own; times are UTC.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna

from mlproject.errors import UserError
from mlproject.experiments.terminal import (
    TO_TERMINAL,
    is_for_terminal,
    is_for_trial_log,
)
from mlproject.tracking.trial_log_lines import ENDED, line_key, trial_lines
from mlproject.tracking.trial_run import TrialRun

_own_logger = logging.getLogger(__name__)
_logger = optuna.logging.get_logger("optuna.trial_log")
_logger.setLevel(logging.INFO)  # the journal is kept however quiet Optuna has been told to be


class TrialLogIncomplete(UserError):
    """The trial log could not be written; its study's storage has what is missing there."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"trial log {path} cannot be written ({error.strerror}): mend that and run the same "
            "command again, which adds the lines that are missing"
        )


def write_line(line: str, *, to_terminal: bool = False) -> None:
    """Write a line of the trial log."""
    _logger.info(line, extra={TO_TERMINAL: to_terminal})


@contextmanager
def open_trial_log(path: Path) -> Iterator[None]:
    """Let what passes Optuna's logger be appended to `path`, safe on disk.

    The short lines of `terminal` are left out, and the terminal is spared the long ones.

    Raises:
        TrialLogIncomplete: the file cannot be opened, or, at the end, a line could not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_torn_line(path)
        handler = _DurableHandler(path)
    except OSError as error:
        raise TrialLogIncomplete(path, error) from error
    formatter = logging.Formatter("[%(levelname)1.1s %(asctime)s] %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(is_for_trial_log)
    root = logging.getLogger("optuna")
    terminal = list(root.handlers)
    for other in terminal:
        other.addFilter(is_for_terminal)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for other in terminal:
            other.removeFilter(is_for_terminal)
        handler.close()
    if handler.error is not None:
        raise TrialLogIncomplete(path, handler.error)


def write_missing_lines(path: Path, trials: Sequence[TrialRun]) -> None:
    """Give each ended trial the lines that a killed process did not come to write."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        written = {line_key(line) for line in lines}
    for trial in trials:
        if (trial.trial_number, ENDED) not in written:
            for line in trial_lines(trial):
                if line_key(line) not in written:
                    write_line(line)


class _DurableHandler(logging.Handler):
    """Appends whole lines, each safe on disk before the next.

    After the first that could not be written (a full disk) it writes no more: what is in the file
    is then what it holds up to a moment, and the next launch goes on from there.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._path = path
        self._file = path.open("ab", buffering=0)

    def emit(self, record: logging.LogRecord) -> None:
        if self.error is not None:
            return
        line = memoryview(f"{self.format(record)}\n".encode())
        end = os.fstat(self._file.fileno()).st_size
        try:
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self.error = error
            os.ftruncate(self._file.fileno(), end)  # no torn line
            _own_logger.warning("the study goes on, but %s", TrialLogIncomplete(self._path, error))

    def close(self) -> None:
        self._file.close()
        super().close()


def _end_torn_line(path: Path) -> None:
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

"""The trial log: a text that a person can follow, and the durable journal of a study.

Every name of `mlproject.tracking.names` that a trial's run carries is in its lines, to the last
digit, so that the runs can be rebuilt from this file alone. Lines go through Optuna's logger, so
they also stand between Optuna's own; times are UTC.

    [I 2026-11-23 20:14:13,539] Trial 7: arch_idx=57, d_model=64, …, batch_size=256, d_ff=256, …
    [I 2026-11-23 20:14:19,004] Trial 7 epoch 1: train_loss=0.55…, val_loss=0.53…
    [I 2026-11-23 20:16:02,118] Trial 7 ended: state=COMPLETE, ended=…, best_val_loss=0.51…, …
"""

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import optuna

from mlproject.errors import UserError
from mlproject.tracking.names import SEARCHED_PARAMS, Param, Tag
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_losses import EpochLosses

_own_logger = logging.getLogger(__name__)
_logger = optuna.logging.get_logger("optuna.trial_log")
_logger.setLevel(logging.INFO)  # the journal is kept however quiet Optuna has been told to be

_TO_TERMINAL = "to_terminal"

_STARTED = re.compile(r"Trial (\d+): .*\.$")
_EPOCH = re.compile(r"Trial (\d+) epoch (\d+): .*\.$")
_ENDED = re.compile(r"Trial (\d+) ended: .*\.$")

# The order and spelling up to batch_size are those of the old logs, whose readers stop there.
_OLD_FIELDS = (Param.ARCH_IDX, Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS)
_NEW_FIELDS = (
    Param.D_FF,
    *(param for param in SEARCHED_PARAMS if param is not Param.EPOCHS),
    Param.GRID_VERSION,
    Param.N_FEATURES,
    Param.SEARCH_SPACE,
    Param.BUDGET,
    Param.HORIZON,
    Param.TASK,
)
_START_TAGS = (Tag.STUDY_NAME, Tag.FORCED_EXTREME, Tag.SUPPLEMENT, Tag.RETRY_OF)


class TrialLogIncomplete(UserError):
    """The trial log could not be written; its study's storage has what is missing there."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"trial log {path} cannot be written ({error.strerror}): mend that and run the same "
            "command again, which adds the lines that are missing"
        )


def start_line(trial: TrialRun) -> str:
    """The line of a trial whose params are all known."""
    params = trial.params
    fields = [f"{name}={params[name]}" for name in _OLD_FIELDS]
    fields.append(f"params={params[Param.PARAM_COUNT]:,}")
    fields.append(f"lr={params[Param.LEARNING_RATE]:.6f}")
    fields.append(f"epochs={params[Param.EPOCHS]}")
    fields.append(f"batch_size={params[Param.BATCH_SIZE]}")
    fields.extend(f"{name}={params[name]}" for name in _NEW_FIELDS if name in params)
    fields.append(f"started={_time(trial.started_ms)}")
    fields.extend(f"{tag}={trial.tags[tag]}" for tag in _START_TAGS if tag in trial.tags)
    return f"Trial {trial.trial_number}: {', '.join(fields)}."


def epoch_line(trial_number: int, losses: EpochLosses) -> str:
    """The line of one epoch."""
    return (
        f"Trial {trial_number} epoch {losses.epoch}: "
        f"train_loss={losses.train_loss}, val_loss={losses.val_loss}."
    )


def end_line(trial: TrialRun) -> str:
    """The line that closes a trial, whatever became of it. The last one counts."""
    assert trial.ended_ms is not None
    fields = [
        f"state={trial.state}",
        f"started={_time(trial.started_ms)}",
        f"ended={_time(trial.ended_ms)}",
        *(f"{name}={float(value)}" for name, value in trial.metrics.items()),
    ]
    if not _has_start_line(trial):
        fields.extend(f"param.{name}={value}" for name, value in trial.params.items())
        fields.extend(f"{tag}={trial.tags[tag]}" for tag in _START_TAGS if tag in trial.tags)
    if Tag.DIVERGED in trial.tags:
        fields.append(f"{Tag.DIVERGED}={trial.tags[Tag.DIVERGED]}")
    if Tag.FAILURE_REASON in trial.tags:
        fields.append(f"{Tag.FAILURE_REASON}={json.dumps(trial.tags[Tag.FAILURE_REASON])}")
    return f"Trial {trial.trial_number} ended: {', '.join(fields)}."


def write_line(line: str, *, to_terminal: bool = False) -> None:
    """Write a line of the trial log."""
    _logger.info(line, extra={_TO_TERMINAL: to_terminal})


@contextmanager
def open_trial_log(path: Path) -> Iterator[None]:
    """Let everything that passes Optuna's logger be appended to `path`, safe on disk.

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
    root = logging.getLogger("optuna")
    terminal = list(root.handlers)
    for other in terminal:
        other.addFilter(_is_for_terminal)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for other in terminal:
            other.removeFilter(_is_for_terminal)
        handler.close()
    if handler.error is not None:
        raise TrialLogIncomplete(path, handler.error)


def write_missing_lines(path: Path, trials: Sequence[TrialRun]) -> None:
    """Give each ended trial the lines that a killed process did not come to write."""
    started, ended, epochs = set(), set(), set()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if match := _STARTED.search(line):
                started.add(int(match[1]))
            elif match := _EPOCH.search(line):
                epochs.add((int(match[1]), int(match[2])))
            elif match := _ENDED.search(line):
                ended.add(int(match[1]))
    for trial in trials:
        if trial.trial_number not in ended:
            if trial.trial_number not in started and _has_start_line(trial):
                write_line(start_line(trial))
            for losses in trial.epochs:
                is_whole = losses.train_loss is not None
                if is_whole and (trial.trial_number, losses.epoch) not in epochs:
                    write_line(epoch_line(trial.trial_number, losses))
            write_line(end_line(trial))


def _has_start_line(trial: TrialRun) -> bool:
    """A trial whose process died before its params were all chosen never began."""
    return Param.BATCH_SIZE in trial.params


def _is_for_terminal(record: logging.LogRecord) -> bool:
    is_loud_enough = record.levelno >= optuna.logging.get_verbosity()
    return getattr(record, _TO_TERMINAL, True) and is_loud_enough


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


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"

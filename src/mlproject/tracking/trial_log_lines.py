"""The lines of the trial log: one codec, from a trial to text and back, to the last digit.

    Trial 7: arch_idx=57, d_model=64, …, batch_size=256, d_ff=256, …
    Trial 7 epoch 1: train_loss=0.55…, val_loss=0.53…, val_block_losses=0.61;0.48;…
    Trial 7 ended: state=COMPLETE, started=…, ended=…, best_val_loss=0.51…, …

Every name of `mlproject.tracking.names` that a trial's run carries is in its lines, but for its
origin. Each line ends with a full stop, and no value looks like the beginning of another: a line
that was cut off is refused. The file, and the time stamps of its lines, are not dealt with here.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import NoneType
from typing import Any, get_args, get_type_hints

from mlproject.tracking.names import (
    REAL_PARAMS,
    SEARCHED_PARAMS,
    START_TAGS,
    WHOLE_PARAMS,
    Metric,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics

ENDED = "ended"
"""The part of a trial that its last line tells of; see `line_key`."""

# The order and spelling up to batch_size are those of the old logs, whose readers stop there.
_ARCHITECTURE = (Param.ARCH_IDX, Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS)
_TRAINING = (Param.EPOCHS, Param.BATCH_SIZE)
_PARAM_COUNT = "params"
_ROUNDED_LEARNING_RATE = "lr"
_AFTER_OLD_FIELDS = tuple(
    param
    for param in dict.fromkeys((Param.D_FF, *SEARCHED_PARAMS, *Param))
    if param not in (*_ARCHITECTURE, *_TRAINING, Param.PARAM_COUNT)
)
FIRST_NEW_FIELD = f", {_AFTER_OLD_FIELDS[0]}="
"""What tells the first line of a trial from one of the old program."""

_PARAM_PREFIX = "param."
"""Marks a param on the line of an end, where ``d_model`` and others are metrics too."""
_START_TAGS = (Tag.STUDY_NAME, *START_TAGS)
_TAGS = (*_START_TAGS, Tag.DIVERGED)
_REASON = f", {Tag.FAILURE_REASON}="
"""Before the last field: text in JSON, in which anything may stand."""
_ENDS = {state.value: state for state in TrialState if state is not TrialState.RUNNING}
_LOSSES = {
    name: NoneType in get_args(hint)
    for name, hint in get_type_hints(EpochMetrics).items()
    if name != "epoch"
}
"""What an epoch's line holds, and whether it may be unknown: such a loss is not on the line."""
_UNKNOWN_LOSSES: dict[str, None] = {name: None for name, may_be in _LOSSES.items() if may_be}

_BETWEEN_BLOCKS = ";"

_MAX_VALUE_CHARACTERS = 300
_MAX_DIGITS = 18
"""No count of any study has more digits, and no table holds one."""

# All repetitions are bounded or come once, so no line can make these slow.
_LINE = re.compile(r"Trial (\d{1,9})(?: (ended)| epoch (\d{1,9}))?: (.*)", re.ASCII)
_KEY = re.compile(r"Trial (\d{1,9})(?: (ended|epoch \d{1,9}))?: .*\.$", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z", re.ASCII)


class UnreadableLine(ValueError):
    """A line that speaks of a trial but has not the form that such a line has."""


@dataclass(frozen=True, kw_only=True)
class EpochLine:
    """What the line of an epoch holds."""

    trial_number: int
    losses: EpochMetrics


def has_begun(trial: TrialRun) -> bool:
    """Whether a trial came to train; one whose process died while it chose has no first line."""
    return Param.BATCH_SIZE in trial.params


def trial_lines(trial: TrialRun) -> Iterator[str]:
    """All lines of a trial that ended, in order."""
    if has_begun(trial):
        yield start_line(trial)
    for losses in trial.epochs:
        yield epoch_line(trial.trial_number, losses)
    yield end_line(trial)


def start_line(trial: TrialRun) -> str:
    """The first line of a trial, which has begun."""
    params = trial.params
    fields = {
        **{name: params[name] for name in _ARCHITECTURE},
        _PARAM_COUNT: f"{params[Param.PARAM_COUNT]:,}",
        _ROUNDED_LEARNING_RATE: f"{params[Param.LEARNING_RATE]:.6f}",
        **{name: params[name] for name in _TRAINING},
        **{name: params[name] for name in _AFTER_OLD_FIELDS if name in params},
        "started": _moment(trial.started_ms),
        **_start_tags(trial),
    }
    return f"Trial {trial.trial_number}: {_joined(fields)}."


def epoch_line(trial_number: int, losses: EpochMetrics) -> str:
    """The line of one epoch; a loss that is not known is left out."""
    values = {name: getattr(losses, name) for name in _LOSSES}
    known = {name: _written(value) for name, value in values.items() if value is not None}
    return f"Trial {trial_number} epoch {losses.epoch}: {_joined(known)}."


def end_line(trial: TrialRun) -> str:
    """The line that closes a trial, whatever became of it. The last one counts."""
    assert trial.ended_ms is not None
    fields: dict[str, object] = {
        "state": trial.state,
        "started": _moment(trial.started_ms),
        "ended": _moment(trial.ended_ms),
        **{name: float(value) for name, value in trial.metrics.items()},
    }
    if not has_begun(trial):
        fields |= {f"{_PARAM_PREFIX}{name}": value for name, value in trial.params.items()}
        fields |= _start_tags(trial)
    if Tag.DIVERGED in trial.tags:
        fields[Tag.DIVERGED] = trial.tags[Tag.DIVERGED]
    if Tag.FAILURE_REASON in trial.tags:
        fields[Tag.FAILURE_REASON] = json.dumps(trial.tags[Tag.FAILURE_REASON])
    return f"Trial {trial.trial_number} ended: {_joined(fields)}."


def line_key(line: str) -> tuple[int, str] | None:
    """Which trial a line is of, and which part of it: its start, ``epoch 3``, or its end.

    None for a line that is of no trial, or cut off. Much faster than `parse_line`; whatever stands
    before the line, such as a time stamp, is passed over.
    """
    match = _KEY.search(line)
    return match and (int(match[1]), match[2] or "")


def parse_line(line: str) -> TrialRun | EpochLine:
    """Read a line, from its ``Trial`` to its full stop.

    Of the first line of a trial comes a `TrialRun` that is RUNNING, of its last one a `TrialRun`
    with its end and metrics, and with params only where there is no first line.

    Raises:
        UnreadableLine: it is cut or garbled.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise UnreadableLine("a field of the line cannot be read")
    number, ended, epoch, rest = match.groups()
    what = "the line of the epoch" if epoch else "a field of the line"
    if not rest.endswith("."):
        raise UnreadableLine(f"{what} cannot be read" if epoch else "the line is cut off")
    text = rest.removesuffix(".")
    try:
        if epoch:
            return EpochLine(trial_number=int(number), losses=_parse_losses(int(epoch), text))
        return (_parse_end if ended else _parse_start)(int(number), text)
    except (KeyError, ValueError, RecursionError) as error:
        raise UnreadableLine(f"{what} cannot be read") from error


def _start_tags(trial: TrialRun) -> dict[str, str]:
    return {tag: trial.tags[tag] for tag in _START_TAGS if tag in trial.tags}


def _joined(fields: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in fields.items())


def _parse_losses(epoch: int, text: str) -> EpochMetrics:
    found = {name: _read(name, value) for name, value in _split(text).items()}
    losses: dict[str, Any] = _UNKNOWN_LOSSES | found
    if losses.keys() != _LOSSES.keys():
        raise ValueError(text)
    return EpochMetrics(epoch=epoch, **losses)


def _written(loss: float | tuple[float, ...]) -> str:
    return _BETWEEN_BLOCKS.join(map(str, loss)) if isinstance(loss, tuple) else str(loss)


def _read(name: str, text: str) -> float | tuple[float, ...]:
    if name == "val_block_losses":
        return tuple(map(_float, text.split(_BETWEEN_BLOCKS)))
    return _float(text)


def _parse_start(trial_number: int, text: str) -> TrialRun:
    fields = _split(text)
    started_ms, tags = _parse_moment(fields.pop("started")), _pop_tags(fields)
    params: dict[Param, int | float | str] = {}
    if _ROUNDED_LEARNING_RATE in fields:
        float(fields.pop(_ROUNDED_LEARNING_RATE))  # for the eye; learning_rate has every digit
    if _PARAM_COUNT in fields:
        params[Param.PARAM_COUNT] = _int(fields.pop(_PARAM_COUNT).replace(",", ""))
    params |= _parse_params(fields)
    _check_name(tags, params)
    return TrialRun(
        trial_number=trial_number,
        state=TrialState.RUNNING,
        started_ms=started_ms,
        params=params,
        tags=tags,
    )


def _parse_end(trial_number: int, text: str) -> TrialRun:
    plain, has_reason, reason = text.partition(_REASON)
    fields = _split(plain)
    state = _ENDS[fields.pop("state")]
    started_ms, ended_ms = (_parse_moment(fields.pop(name)) for name in ("started", "ended"))
    tags = _pop_tags(fields)
    names = [name for name in fields if name.startswith(_PARAM_PREFIX)]
    params = _parse_params({name.removeprefix(_PARAM_PREFIX): fields.pop(name) for name in names})
    _check_name(tags, params)
    if has_reason:
        tags[Tag.FAILURE_REASON.value] = _text(json.loads(reason))
    return TrialRun(
        trial_number=trial_number,
        state=state,
        started_ms=started_ms,
        ended_ms=ended_ms,
        params=params,
        metrics={Metric(name): _float(value) for name, value in fields.items()},
        tags=tags,
    )


def _split(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for item in text.split(", "):
        name, _, value = item.partition("=")
        if not value or len(value) > _MAX_VALUE_CHARACTERS or name in fields:
            raise ValueError(item)
        fields[name] = value
    return fields


def _pop_tags(fields: dict[str, str]) -> dict[str, str]:
    return {tag.value: fields.pop(tag) for tag in _TAGS if tag in fields}


def _parse_params(fields: Mapping[str, str]) -> dict[Param, int | float | str]:
    params = {Param(name): value for name, value in fields.items()}
    return {param: _TYPES[param](value) for param, value in params.items()}


def _check_name(tags: Mapping[str, str], params: Mapping[Param, int | float | str]) -> None:
    """The study's name ends with what the line says anyway, or it was cut at a point."""
    name = tags.get(Tag.STUDY_NAME)
    parts = [params.get(param) for param in (Param.BUDGET, Param.HORIZON, Param.TASK)]
    if name is not None and not name.endswith("_{}_h{}_{}".format(*parts)):
        raise ValueError(name)


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(text)
    value = int(text)
    if str(value) != text:
        raise ValueError(text)
    return value


def _float(text: str) -> float:
    """Python writes no float as ``0``: that is what is left of one cut off after its point."""
    value = float(text)
    if repr(value) != text:
        raise ValueError(text)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


_TYPES: dict[Param, Callable[[str], int | float | str]] = {
    **dict.fromkeys(Param, str),
    **dict.fromkeys(WHOLE_PARAMS, _int),
    **dict.fromkeys(REAL_PARAMS, _float),
}


def _moment(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def _parse_moment(text: str) -> int:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1000 + int(match[2])

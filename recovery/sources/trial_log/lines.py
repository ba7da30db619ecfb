"""The lines of the project's own trial log (`mlproject.experiments.trial_log`), field by field.

They hold every value to the last digit, and each ends with a full stop: one without was cut off.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlproject.tracking.names import REAL_PARAMS, WHOLE_PARAMS, Metric, Param, Tag, TrialState
from mlproject.training.epoch_losses import EpochLosses
from recovery import study_names
from recovery.sources.legacy_log.trial_lines import UnreadableLine

OWN_FIELD = b", d_ff="
"""What tells the first line of a trial from one of the old program."""

PARAM_PREFIX = "param."
"""Marks a param on an ``ended:`` line, where ``d_model`` and others are metrics too."""

MAX_VALUE_CHARACTERS = 300
MAX_DIGITS = 18
_ENDS = {s.value: s for s in TrialState if s is not TrialState.RUNNING}
_EPOCH = re.compile(
    r"Trial \d{1,9} epoch (\d{1,9}): train_loss=(\S{1,40}), val_loss=(\S{1,40})\.", re.ASCII
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z", re.ASCII)
_REASON = f", {Tag.FAILURE_REASON}="


def _float(text: str) -> float:
    """Python writes no float as ``0``: that is what is left of one cut off after its point."""
    if text.lstrip("-").isdigit():
        raise ValueError(text)
    return float(text)


def _int(text: str) -> int:
    """No count of any study has more digits, and no table holds one."""
    if len(text) > MAX_DIGITS:
        raise ValueError(text)
    return int(text)


_TYPES: dict[str, Callable[[str], int | float | str]] = {
    **dict.fromkeys(WHOLE_PARAMS, _int),
    **dict.fromkeys(REAL_PARAMS, _float),
    **dict.fromkeys((Param.BUDGET, Param.TASK), str),
}
_TAGS = (Tag.STUDY_NAME, Tag.FORCED_EXTREME, Tag.SUPPLEMENT, Tag.RETRY_OF, Tag.DIVERGED)


@dataclass(frozen=True, kw_only=True)
class OwnLine:
    """What the first or the last line of a trial holds."""

    started_ms: int
    ended_ms: int | None = None
    state: TrialState | None = None
    params: Mapping[Param, int | float | str] = field(default_factory=dict)
    metrics: Mapping[Metric, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def parse_own(body: str) -> OwnLine:
    """Read a trial's first line, or its ``ended:`` line.

    Raises:
        UnreadableLine: it is cut or garbled.
    """
    head, _, rest = body.partition(": ")
    if not rest.endswith("."):
        raise UnreadableLine("the line is cut off")
    plain, has_reason, reason = rest.removesuffix(".").partition(_REASON)
    try:
        line = _read(plain, is_end=head.endswith(" ended"))
        if not has_reason:
            return line
        text = json.loads(reason)
    except (KeyError, ValueError, RecursionError) as error:
        raise UnreadableLine("a field of the line cannot be read") from error
    return OwnLine(**{**vars(line), "tags": {**line.tags, Tag.FAILURE_REASON.value: str(text)}})


def parse_epoch(body: str) -> EpochLosses:
    """Read the line of an epoch.

    Raises:
        UnreadableLine: it is cut or garbled.
    """
    match = _EPOCH.fullmatch(body)
    try:
        if match:
            return EpochLosses(
                epoch=int(match[1]), train_loss=_float(match[2]), val_loss=_float(match[3])
            )
    except ValueError:
        pass
    raise UnreadableLine("the line of the epoch cannot be read")


def _read(text: str, *, is_end: bool) -> OwnLine:
    params: dict[Param, int | float | str] = {}
    metrics: dict[Metric, float] = {}
    tags: dict[str, str] = {}
    moments: dict[str, int] = {}
    state = None
    for item in text.split(", "):
        name, equals, value = item.partition("=")
        if not equals or not value or len(value) > MAX_VALUE_CHARACTERS:
            raise ValueError(item)
        if name in ("started", "ended"):
            moments[name] = _moment(value)
        elif name == "state":
            state = _ENDS[value]
        elif name == "lr":
            float(value)  # rounded for the eye; learning_rate has every digit
        elif name == "params":
            params[Param.PARAM_COUNT] = _int(value.replace(",", ""))
        elif name in _TAGS:
            tags[name] = value
        elif is_end and not name.startswith(PARAM_PREFIX):
            metrics[Metric(name)] = _float(value)
        else:
            param = Param(name.removeprefix(PARAM_PREFIX))
            params[param] = _TYPES[param](value)
    _check_name(tags, params)
    return OwnLine(
        started_ms=moments["started"],
        ended_ms=moments["ended"] if is_end else None,
        state=state,
        params=params,
        metrics=metrics,
        tags=tags,
    )


def _check_name(tags: Mapping[str, str], params: Mapping[Param, int | float | str]) -> None:
    """The study's name ends with what the line says anyway, or it was cut at a point.

    Whatever wrote the line, the name can name a study, and so budget and task are plain words too.
    """
    name = tags.get(Tag.STUDY_NAME)
    parts = [params.get(param) for param in (Param.BUDGET, Param.HORIZON, Param.TASK)]
    words = [part for part in (name, *parts) if isinstance(part, str)]
    if not all(map(study_names.is_safe, words)):
        raise ValueError(words)
    if name is not None and not name.endswith("_{}_h{}_{}".format(*parts)):
        raise ValueError(name)


def _moment(text: str) -> int:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1000 + int(match[2])

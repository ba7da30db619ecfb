"""The lines of the old program and of Optuna that speak of a trial, field by field.

Every pattern is anchored and its repetitions are bounded, so no line can make it slow.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from mlproject.tracking.names import Param, TrialState
from mlproject.tracking.trial_log_lines import UnreadableLine
from recovery.sources.legacy_log.literals import NotALiteral, Value, parse_params

_COUNT = r"(\d{1,9})"
_GROUPED = r"(\d{1,3}(?:,\d{3}){0,4}|\d{1,15})"
_RATE = r"(\d{1,3}\.\d{6})"
_VALUE = r"(-?\d{1,30}(?:\.\d{1,30})?(?:e[+-]?\d{1,4})?|-?inf|nan)"

_START = re.compile(
    rf"Trial {_COUNT}: arch_idx={_COUNT}, d_model={_COUNT}, n_layers={_COUNT}"
    rf"(?:, n_heads={_COUNT})?, params={_GROUPED}, lr={_RATE}, epochs={_COUNT}, "
    rf"(?:batch_size={_COUNT}|batch={_COUNT}x{_COUNT})(?:, dropout=(\d\.\d\d))?",
    re.ASCII,
)
_FORCED_DROPOUT = re.compile(
    r"\s{0,8}→ Forced dropout=(\d\.\d\d) for diversity \(was (\d\.\d\d), prev=(?:\d\.\d\d|None)\)",
    re.ASCII,
)
_FINISHED = re.compile(
    rf"Trial {_COUNT} finished with value: {_VALUE} and parameters: \{{", re.ASCII
)
_BEST = re.compile(rf"\. Best is trial {_COUNT} with value: {_VALUE}\.", re.ASCII)
_FAILED = re.compile(rf"Trial {_COUNT} failed with parameters: \{{", re.ASCII)
_BECAUSE = "} because of the following error: "

MAX_REASON_CHARACTERS = 500
REMEMBERED_LINES = 2048
"""Old logs are copied and joined: lines that come again are not read again."""


@dataclass(frozen=True, kw_only=True)
class StartLine:
    """``Trial 7: arch_idx=57, d_model=64, …``."""

    params: dict[Param, int | float]
    printed_learning_rate: float
    micro_batch: str | None
    """Such as ``32x8``: windows at a time × steps that are accumulated."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How Optuna says that a trial ended."""

    state: TrialState
    value: str | None = None
    """The value as printed, which is every digit of it."""
    params: dict[str, Value] | None = None
    """What the sampler chose, to the last digit."""
    reason: str | None = None
    best: tuple[int, str] | None = None
    """Number and value of the study's best trial so far."""


@lru_cache(REMEMBERED_LINES)
def parse_start(line: bytes) -> StartLine:
    """Read a trial's first line.

    Raises:
        UnreadableLine: it is cut, garbled, or of a form that no program wrote.
    """
    match = _START.fullmatch(_decode(line))
    if match is None:
        raise UnreadableLine("the trial's line cannot be read")
    idx, d_model, n_layers, n_heads, count, rate, epochs, batch, micro, steps, dropout = (
        match.groups()[1:]
    )
    params: dict[Param, int | float] = {
        Param.ARCH_IDX: int(idx),
        Param.D_MODEL: int(d_model),
        Param.N_LAYERS: int(n_layers),
        Param.PARAM_COUNT: int(count.replace(",", "")),
        Param.LEARNING_RATE: float(rate),
        Param.EPOCHS: int(epochs),
        Param.BATCH_SIZE: int(batch) if batch else int(micro) * int(steps),
    }
    if n_heads:
        params[Param.N_HEADS] = int(n_heads)
    if dropout:
        params[Param.DROPOUT] = float(dropout)
    return StartLine(
        params=params,
        printed_learning_rate=float(rate),
        micro_batch=f"{micro}x{steps}" if micro else None,
    )


def parse_forced_dropout(line: bytes) -> tuple[float, float]:
    """The dropout that was used and the one that was sampled, both rounded as printed.

    Raises:
        UnreadableLine: it is cut or garbled.
    """
    match = _FORCED_DROPOUT.fullmatch(_decode(line))
    if match is None:
        raise UnreadableLine("the line of the forced dropout cannot be read")
    return float(match[1]), float(match[2])


@lru_cache(REMEMBERED_LINES)
def parse_outcome(line: bytes) -> Outcome:
    """Read ``finished with value``, ``pruned`` or ``failed``.

    Raises:
        UnreadableLine: it is cut or garbled, or the study has several objectives.
    """
    body = _decode(line)
    if match := _FINISHED.match(body):
        inside, brace, rest = body[match.end() :].partition("}")
        best = _BEST.fullmatch(rest)
        if brace and (best or rest == "." or not rest) and repr(float(match[2])) == match[2]:
            return Outcome(
                state=TrialState.COMPLETE,
                value=match[2],
                params=_params(inside),
                best=(int(best[1]), best[2]) if best else None,
            )
    elif match := _FAILED.match(body):
        inside, because, reason = body[match.end() :].partition(_BECAUSE)
        if because:
            return Outcome(
                state=TrialState.FAIL,
                params=_params(inside),
                reason=reason.removesuffix(".")[:MAX_REASON_CHARACTERS],
            )
    elif re.match(rf"Trial {_COUNT} pruned\.", body, re.ASCII):
        return Outcome(state=TrialState.PRUNED)
    elif re.fullmatch(rf"Trial {_COUNT} failed with value [^\n]{{1,200}}\.", body, re.ASCII):
        return Outcome(state=TrialState.FAIL)
    raise UnreadableLine("the line of the trial's end cannot be read")


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise UnreadableLine("the line is not text") from error


def _params(inside: str) -> dict[str, Value]:
    try:
        return parse_params(inside)
    except NotALiteral as error:
        raise UnreadableLine(str(error)) from error

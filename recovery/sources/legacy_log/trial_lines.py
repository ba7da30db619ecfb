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
_GROUPED = (
    r"(\d{1,3}(?:(?P<sign>[,.'’_ \u00a0\u2009\u202f])\d{3}(?:(?P=sign)\d{3}){0,3})?|\d{1,15})"
)
"""Thousands apart by any one sign: what copies a log may take the comma for a decimal point."""
_RATE = r"(\d{1,3}\.\d{6})"
_VALUE = r"(-?\d{1,30}(?:\.\d{1,30})?(?:e[+-]?\d{1,4})?|-?inf|nan)"

_START = re.compile(
    rf"Trial {_COUNT}: arch_idx={_COUNT}, d_model={_COUNT}, n_layers={_COUNT}"
    rf"(?:, n_heads={_COUNT})?, params={_GROUPED}[,.] lr={_RATE}, epochs={_COUNT}, "
    rf"(?:batch_size={_COUNT}|batch={_COUNT}x{_COUNT})(?:, dropout=(\d\.\d\d))?",
    re.ASCII,
)
_STARTING = re.compile(rf"Trial {_COUNT} starting: ([^\n]{{3,1000}})", re.ASCII)
_FIELD = re.compile(r"([a-z_]{1,40})=([^\s=]{1,100})", re.ASCII)
_FIELDS: dict[str, tuple[Param, str, type[int] | type[float]]] = {
    "arch_idx": (Param.ARCH_IDX, r"\d{1,9}", int),
    "d_model": (Param.D_MODEL, r"\d{1,9}", int),
    "n_layers": (Param.N_LAYERS, r"\d{1,9}", int),
    "n_heads": (Param.N_HEADS, r"\d{1,9}", int),
    "d_ff": (Param.D_FF, r"\d{1,9}", int),
    "params": (Param.PARAM_COUNT, r"\d{1,3}(?:,\d{3}){0,4}|\d{1,15}", int),
    "lr": (Param.LEARNING_RATE, _RATE, float),
    "epochs": (Param.EPOCHS, r"\d{1,9}", int),
    "batch_size": (Param.BATCH_SIZE, r"\d{1,9}", int),
    "dropout": (Param.DROPOUT, r"\d\.\d\d", float),
}
"""What the line ``Trial 7 starting: device=cpu, lr=0.000160, …`` may hold, in any order."""
_FORCED_DROPOUT = re.compile(
    r"[^\n]{0,32}?Forced dropout=(\d\.\d\d) for diversity "
    r"\(was (\d\.\d\d), prev=(?:\d\.\d\d|None)\)",
    re.ASCII,
)
"""Whatever became of the arrow before it."""
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
    printed_learning_rate: float | None
    micro_batch: str | None
    """Such as ``32x8``: windows at a time × steps that are accumulated."""
    text: bytes
    """The line as the old program wrote it, by which the trial is known."""


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
    text = _decode(line)
    match = _START.fullmatch(text)
    if match is None:
        return _parse_starting(text)
    idx, d_model, n_layers, n_heads, count, sign, rate, epochs, batch, micro, steps, dropout = (
        match.groups()[1:]
    )
    n_parameters = int(count.replace(sign, "") if sign else count)
    params: dict[Param, int | float] = {
        Param.ARCH_IDX: int(idx),
        Param.D_MODEL: int(d_model),
        Param.N_LAYERS: int(n_layers),
        Param.PARAM_COUNT: n_parameters,
        Param.LEARNING_RATE: float(rate),
        Param.EPOCHS: int(epochs),
        Param.BATCH_SIZE: int(batch) if batch else int(micro) * int(steps),
    }
    if n_heads:
        params[Param.N_HEADS] = int(n_heads)
    if dropout:
        params[Param.DROPOUT] = float(dropout)
    if sign not in (None, ","):
        line = f"{text[: match.start(6)]}{n_parameters:,}, {text[match.end(6) + 2 :]}".encode()
    return StartLine(
        params=params,
        printed_learning_rate=float(rate),
        micro_batch=f"{micro}x{steps}" if micro else None,
        text=line,
    )


def _parse_starting(text: str) -> StartLine:
    """The first line of a trial in the words of scripts that print no architecture."""
    match = _STARTING.fullmatch(text)
    fields = [_FIELD.fullmatch(field) for field in match[2].split(", ")] if match else [None]
    found = {field[1]: field[2] for field in fields if field}
    if len(found) < len(fields):
        raise UnreadableLine("the trial's line cannot be read")
    params: dict[Param, int | float] = {}
    for name, value in found.items():
        param, form, kind = _FIELDS.get(name, (None, "", int))
        if param is not None and re.fullmatch(form, value, re.ASCII):
            params[param] = kind(value.replace(",", ""))
    rate = params.get(Param.LEARNING_RATE)
    return StartLine(
        params=params, printed_learning_rate=rate, micro_batch=None, text=text.encode()
    )


def parse_forced_dropout(line: bytes) -> tuple[float, float]:
    """The dropout that was used and the one that was sampled, both rounded as printed.

    Raises:
        UnreadableLine: it is cut or garbled.
    """
    match = _FORCED_DROPOUT.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        raise UnreadableLine("the line of the forced dropout cannot be read")
    return float(match[1]), float(match[2])


@lru_cache(REMEMBERED_LINES)
def parse_outcome(line: bytes) -> Outcome:
    """Read ``finished with value``, ``pruned`` or ``failed``.

    Raises:
        UnreadableLine: it is cut or garbled, or the study has several objectives.
    """
    # An error's words may be in any encoding; everything else on the line is ASCII.
    is_failure = b" failed with parameters: " in line
    body = line.decode("utf-8", "backslashreplace") if is_failure else _decode(line)
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


def is_whole_trial_line(line: bytes) -> bool:
    """Whether it is a trial's first or last line, with nothing missing of it."""
    try:
        parse_start(line) if b": arch_idx=" in line or b" starting: " in line else parse_outcome(
            line
        )
    except UnreadableLine:
        return False
    return True


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

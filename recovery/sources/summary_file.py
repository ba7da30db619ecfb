"""The ``*_all_trials.json`` that the old program saved beside its logs."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import Any, BinaryIO

from mlproject.errors import UserError
from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from recovery import study_names
from recovery.records import LaunchId, TimesFrom, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.trials import DIVERGED_VALUE, SAMPLED
from recovery.sources.optuna.old_studies import NOT_A_LOSS

_BESIDE_PARAMS = (Param.ARCH_IDX, Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.PARAM_COUNT)
_METRICS = (Metric.VAL_ACCURACY, Metric.VAL_AUC, Metric.DURATION_SECONDS)
_NUMBER = ("trial_number", "number", "trial_id")
_VALUE = ("value", "val_loss", "best_val_loss")
_START = ("start_time", "datetime_start", "started_at")
_END = ("end_time", "datetime_complete", "ended_at")
"""What different programs called the same; an older recovery script wrote ``val_loss``."""

MAX_BYTES = 64 << 20
MAX_TRIALS = 10**9
_MOST_SECONDS = 10**11
"""More seconds since the epoch are milliseconds."""


_MOST_REASONS = 10
_UNREADABLE = (
    ValueError,
    OverflowError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)


class BadSummaryFile(UserError):
    """A file that is called a summary of trials but is none."""


def read_summary_file(
    stream: BinaryIO,
    path: str,
    launch: LaunchId,
    zone: tzinfo = UTC,
    pass_over: Callable[[str], object] | None = None,
) -> list[TrialRecord]:
    """The records of a summary file.

    Most hold finished trials only, and no time but their own. Those of an older recovery script
    have the times of the log, without a zone, and parameters as the trial's line prints them. Where
    the file does not name its experiment, its own name does. What is said of entries that cannot be
    read is given to `pass_over`, if others can.

    Raises:
        BadSummaryFile: it is not JSON, or not a summary of trials.
    """
    source = PurePath(path).name
    unread: list[str] = []
    records: list[TrialRecord] = []
    try:
        found = json.loads(_read(stream))
        summary: Any = {"trials": found} if isinstance(found, list) else found
        logged = str(summary["experiment"] if "experiment" in summary else _named(source))
        name = study_names.from_logged_name(logged)
        if name is None:
            raise ValueError("its experiment cannot name a study")
        written = summary.get("timestamp")
        written_ms = None if written is None else _milliseconds(written, UTC)
        maximises = str(summary.get("direction", "")).lower().endswith("maximize")
        for place, trial in enumerate(summary["trials"], 1):
            try:
                records.append(
                    _record(
                        trial,
                        study_name=name,
                        logged_study_name=logged,
                        source=source,
                        launch=launch,
                        written_ms=written_ms,
                        zone=zone,
                        problems=(NOT_A_LOSS,) if maximises else (),
                    )
                )
            except _UNREADABLE as error:
                unread.append(f"its trial {place} cannot be read ({_reason(error)})")
                if pass_over is None:
                    raise
    except _UNREADABLE as error:
        raise BadSummaryFile(f"{path} is not a summary of trials ({_reason(error)})") from error
    if unread and not records:
        raise BadSummaryFile(f"{path} is not a summary of trials ({unread[0]})")
    if unread and pass_over is not None:
        pass_over("; ".join(unread[:_MOST_REASONS]))
    return records


def _named(source: str) -> str:
    """The study that a file is named after; KeyError where it is named otherwise."""
    name, found, _ = source.partition("_all_trials.json")
    if not found:
        raise KeyError("experiment")
    return name


def _reason(error: Exception) -> str:
    return (f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error))[:200]


def _read(stream: BinaryIO) -> bytes:
    """The content; a packed file of a few kilobytes may hold more than fits in memory."""
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it holds more than {MAX_BYTES:,} bytes, which no summary does")
    return content


def _record(
    trial: Mapping[str, Any],
    *,
    study_name: str,
    logged_study_name: str,
    source: str,
    launch: LaunchId,
    written_ms: int | None,
    zone: tzinfo,
    problems: tuple[str, ...],
) -> TrialRecord:
    number = int(_first(trial, _NUMBER))
    if not 0 <= number < MAX_TRIALS:
        raise ValueError("no trial has such a number")
    state = _state(trial)
    value = _value(trial) if state is TrialState.COMPLETE else None
    sampled = dict(trial.get("params") or {})
    params: dict[Param, int | float | str] = {
        SAMPLED[key]: chosen
        for key, chosen in sampled.items()
        if key in SAMPLED and _is_number(chosen)
    }
    # The file has the dropout that was sampled; the one that was used, only a log tells.
    sampled_dropout = params.pop(Param.DROPOUT, None)
    params |= {param: trial[param] for param in _BESIDE_PARAMS if _is_number(trial.get(param))}
    metrics = {metric: float(trial[metric]) for metric in _METRICS if _is_number(trial.get(metric))}
    tags = {Tag.STUDY_NAME.value: study_name, Tag.ORIGIN.value: Origin.LOG.value}
    if value is not None:
        metrics[Metric.BEST_VAL_LOSS] = value
    if value == DIVERGED_VALUE:
        tags[Tag.DIVERGED.value] = "true"
    started_ms, ended_ms = (_time(trial, names, zone) for names in (_START, _END))
    has_times = started_ms is not None and ended_ms is not None
    if not has_times and written_ms is not None:
        duration_ms = round(metrics.get(Metric.DURATION_SECONDS, 0.0) * 1000)
        started_ms, ended_ms = written_ms - duration_ms, written_ms
    return TrialRecord(
        study_name=study_name,
        logged_study_name=logged_study_name,
        launch=launch,
        trial_number=number,
        state=state,
        failure_reason="the summary gives no reason" if state is TrialState.FAIL else None,
        source=source,
        started_ms=started_ms,
        ended_ms=ended_ms,
        times_from=TimesFrom.LOG if has_times else TimesFrom.FILE,
        params=params,
        metrics=metrics,
        tags=tags,
        sampled_dropout=None if sampled_dropout is None else float(sampled_dropout),
        outcome_fingerprint=fingerprints.of_outcome(
            study_name, number, None if value is None else repr(value), sampled
        ),
        sampled=sampled,
        problems=problems,
    )


def _first(trial: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The value of the first of `names` that the trial has.

    Raises:
        KeyError: it has none of them.
    """
    return trial[next((name for name in names if name in trial), names[0])]


def _state(trial: Mapping[str, Any]) -> TrialState:
    """As the file says, if it does: ``COMPLETE``, or ``TrialState.COMPLETE``."""
    said = str(trial.get("state", TrialState.COMPLETE)).rpartition(".")[2].upper()
    return TrialState.FAIL if said in ("RUNNING", "WAITING", "FAILED") else TrialState(said)


def _value(trial: Mapping[str, Any]) -> float | None:
    """None where the file has a null in its place."""
    value = _first(trial, _VALUE)
    return None if value is None else float(value)


def _time(trial: Mapping[str, Any], names: Sequence[str], zone: tzinfo) -> int | None:
    found = next((trial[name] for name in names if trial.get(name)), None)
    return None if found is None else _milliseconds(found, zone)


def _milliseconds(text: str | float, zone: tzinfo) -> int:
    """A time in ISO format, or as Optuna's logger writes it; in `zone` where it names none.

    A number is seconds since the epoch, or milliseconds where seconds would be too many.
    """
    if _is_number(text):
        return round(float(text) * (1 if float(text) > _MOST_SECONDS else 1000))
    if not isinstance(text, str):
        raise TypeError(f"{str(text)[:50]!r} is no time")
    moment = datetime.fromisoformat(text.replace(",", "."))
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return round(zoned.timestamp() * 1000)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""The ``*_all_trials.json`` that the old program saved beside its logs."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, BinaryIO

from mlproject.errors import UserError
from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from recovery import study_names
from recovery.records import LaunchId, TimesFrom, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.trials import DIVERGED_VALUE, SAMPLED

_BESIDE_PARAMS = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.PARAM_COUNT)
_METRICS = (Metric.VAL_ACCURACY, Metric.VAL_AUC, Metric.DURATION_SECONDS)

MAX_BYTES = 64 << 20
MAX_TRIALS = 10**9


class BadSummaryFile(UserError):
    """A file that is called a summary of trials but is none."""


def read_summary_file(stream: BinaryIO, path: str, launch: LaunchId) -> list[TrialRecord]:
    """The records of a summary file. It holds finished trials only, and no time but its own.

    Raises:
        BadSummaryFile: it is not JSON, or not a summary of trials.
    """
    source = PurePath(path).name
    try:
        summary = json.loads(_read(stream))
        name = study_names.from_logged_name(str(summary["experiment"]))
        if name is None:
            raise ValueError("its experiment cannot name a study")
        written = datetime.fromisoformat(summary["timestamp"])
        zoned = written if written.tzinfo else written.replace(tzinfo=UTC)
        written_ms = round(zoned.timestamp() * 1000)
        return [
            _record(
                trial,
                study_name=name,
                logged_study_name=summary["experiment"],
                source=source,
                launch=launch,
                written_ms=written_ms,
            )
            for trial in summary["trials"]
        ]
    except (
        ValueError,
        OverflowError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise BadSummaryFile(f"{path} is not a summary of trials ({reason[:200]})") from error


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
    written_ms: int,
) -> TrialRecord:
    number, value = int(trial["trial_number"]), float(trial["value"])
    if not 0 <= number < MAX_TRIALS:
        raise ValueError("no trial has such a number")
    sampled = dict(trial["params"])
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
    if value == DIVERGED_VALUE:
        tags[Tag.DIVERGED.value] = "true"
    duration_ms = round(metrics.get(Metric.DURATION_SECONDS, 0.0) * 1000)
    return TrialRecord(
        study_name=study_name,
        logged_study_name=logged_study_name,
        launch=launch,
        trial_number=number,
        state=TrialState.COMPLETE,
        source=source,
        started_ms=written_ms - duration_ms,
        ended_ms=written_ms,
        times_from=TimesFrom.FILE,
        params=params,
        metrics={Metric.BEST_VAL_LOSS: value, **metrics},
        tags=tags,
        sampled_dropout=None if sampled_dropout is None else float(sampled_dropout),
        outcome_fingerprint=fingerprints.of_outcome(study_name, number, repr(value), sampled),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

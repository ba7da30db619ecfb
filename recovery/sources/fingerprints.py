"""What a trial is known by, whichever file, storage or copy it is read from."""

import hashlib
from collections.abc import Mapping

from mlproject.tracking.names import Metric, Param
from recovery.records import TrialRecord

_ARCH_IDX = Param.ARCH_IDX.value


def of_start(study_name: str, trial_number: int, stamp: str | None, body: str) -> str:
    """From the first line of a trial, so that it is known before it has ended."""
    return _digest("start", study_name, str(trial_number), stamp or "", body)


def of_own_start(study_name: str, trial_number: int, started_ms: int | None) -> str:
    """Of a trial of this project, the same in its trial log and in Optuna's storage."""
    return of_start(study_name, trial_number, str(started_ms), "own")


def of_outcome(
    study_name: str, trial_number: int, value: str | None, params: Mapping[str, object]
) -> str:
    """From what the sampler chose and what came of it."""
    chosen = [f"{name}={params[name]!r}" for name in sorted(params)]
    return _digest("outcome", study_name, str(trial_number), value or "", *chosen)


def of_other_outcome(record: TrialRecord) -> str | None:
    """Of the same outcome as another source may tell it.

    A forced trial has no `arch_idx` among its parameters in the log, but has one in the summary of
    a study that was resumed.
    """
    arch_idx = record.params.get(Param.ARCH_IDX)
    if record.outcome_fingerprint is None or (arch_idx is None and _ARCH_IDX not in record.sampled):
        return None
    others = {name: value for name, value in record.sampled.items() if name != _ARCH_IDX}
    if _ARCH_IDX not in record.sampled:
        others[_ARCH_IDX] = arch_idx
    value = record.metrics.get(Metric.BEST_VAL_LOSS)
    text = None if value is None else repr(value)
    return of_outcome(record.study_name, record.trial_number, text, others)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]

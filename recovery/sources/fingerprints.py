"""What a trial is known by, whichever file, storage or copy it is read from."""

import hashlib
from collections.abc import Mapping


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


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]

"""Which trials have to be enqueued: forced extremes not yet tried, trials whose process died.

Decided from the study's own trials every time, so it does not matter when a process was killed.
Optuna's `skip_if_exists` is of no use here: it takes a forced trial that died for done.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mlproject.models.arch_grid import LOG2_N_HEADS, SHAPE_INDEX
from mlproject.models.extremes import distinct_extremes
from mlproject.search.configurations import FIXED_PARAMS, known_params
from mlproject.search.search_space import FIRST_ATTEMPT_ATTR, SearchSpace
from mlproject.tracking.names import FINISHED_STATES, PROCESS_DIED, Tag

MAX_ATTEMPTS = 3
"""A trial that died or a forced one that failed is tried this often in all."""

INTERRUPTED = "interrupted"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class QueuedTrial:
    """A trial to enqueue."""

    params: dict[str, Any]
    user_attrs: dict[str, Any]


def failure_reason(trial: FrozenTrial) -> str | None:
    """Why a failed trial failed. One that left no word died with its process."""
    if trial.state is not TrialState.FAIL:
        return None
    return str(trial.user_attrs.get(Tag.FAILURE_REASON, PROCESS_DIED))


def trials_to_enqueue(trials: Sequence[FrozenTrial], space: SearchSpace) -> list[QueuedTrial]:
    """What has to be enqueued now, given all trials of the study in order."""
    missing = []
    attempts_at: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        if Tag.FORCED_EXTREME in trial.user_attrs:
            attempts_at.setdefault(trial.user_attrs[Tag.FORCED_EXTREME], []).append(trial)
    for label, architecture in distinct_extremes(space.grid).items():
        attempts = attempts_at.get(label, [])
        if not attempts:
            params: dict[str, Any] = space.architecture_params(architecture)
            attrs = {Tag.FORCED_EXTREME.value: label}
            missing.append(QueuedTrial(params=params, user_attrs=attrs))
        elif attempts[-1].state is TrialState.FAIL and len(attempts) < MAX_ATTEMPTS:
            params = space.architecture_params(architecture) | known_params(attempts[-1])
            missing.append(_retry(attempts[-1], params))
    retried = {t.user_attrs.get(Tag.RETRY_OF) for t in trials}
    for trial in trials:
        is_forced = Tag.FORCED_EXTREME in trial.user_attrs
        died = failure_reason(trial) in (PROCESS_DIED, INTERRUPTED)
        params = known_params(trial)
        is_missing = died and not is_forced and trial.number not in retried and params
        if is_missing and _attempts(trial, trials) < MAX_ATTEMPTS:
            missing.append(_retry(trial, params))
    return missing


def counts_towards_plan(trial: FrozenTrial) -> bool:
    """Whether it is one of the finished trials that `n_trials` asks for: a supplement is extra."""
    return trial.state.name in FINISHED_STATES and Tag.SUPPLEMENT not in trial.user_attrs


def finished_trials(study: optuna.Study) -> int:
    """How many of the trials that `n_trials` asks for the study has."""
    return sum(map(counts_towards_plan, study.get_trials(deepcopy=False)))


def enqueue_supplement(
    study: optuna.Study, space: SearchSpace, supplement: Sequence[QueuedTrial]
) -> None:
    """Enqueue supplementary trials: first those whose process died, then `supplement`.

    An architecture that waits already, from a launch that was interrupted, is not enqueued again.
    """
    trials = study.get_trials(deepcopy=False)
    missing = trials_to_enqueue(trials, space)
    died = [queued for queued in missing if Tag.SUPPLEMENT in queued.user_attrs]
    waiting = [
        _architecture_params(trial.system_attrs.get(FIXED_PARAMS, {}))
        for trial in trials
        if trial.state is TrialState.WAITING
    ]
    for queued in (*died, *supplement):
        architecture = _architecture_params(queued.params)
        if architecture not in waiting:
            study.enqueue_trial(queued.params, user_attrs=queued.user_attrs)
            waiting.append(architecture)


def enqueue_missing_trials(study: optuna.Study, space: SearchSpace) -> None:
    """Enqueue what is missing; called again, it adds nothing."""
    for queued in trials_to_enqueue(study.get_trials(deepcopy=False), space):
        study.enqueue_trial(queued.params, user_attrs=queued.user_attrs)


def _retry(trial: FrozenTrial, params: dict[str, Any]) -> QueuedTrial:
    first_attempt = trial.user_attrs.get(FIRST_ATTEMPT_ATTR, trial.number)
    attrs: dict[str, Any] = {
        Tag.RETRY_OF.value: trial.number,
        FIRST_ATTEMPT_ATTR: first_attempt,
    }
    for tag in (Tag.FORCED_EXTREME, Tag.SUPPLEMENT, Tag.REPLICATE_OF, Tag.REPLICATE):
        if tag in trial.user_attrs:
            attrs[tag.value] = trial.user_attrs[tag]
    return QueuedTrial(params=dict(params), user_attrs=attrs)


def _architecture_params(params: Mapping[str, Any]) -> tuple[Any, Any]:
    return params.get(SHAPE_INDEX), params.get(LOG2_N_HEADS)


def _attempts(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """How often these params were tried, `trial` being the last time."""
    attempts = 1
    while (number := trial.user_attrs.get(Tag.RETRY_OF)) is not None:
        trial = trials[number]
        attempts += 1
    return attempts

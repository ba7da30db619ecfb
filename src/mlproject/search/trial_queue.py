"""Which trials have to be enqueued: forced ones not yet tried, trials whose process died.

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
from mlproject.search.carried_over import CarriedOver, warm_start_of
from mlproject.search.search_space import FIRST_ATTEMPT_ATTR, SearchSpace
from mlproject.tracking.names import FINISHED_STATES, METRICS_ATTR, PROCESS_DIED, START_TAGS, Tag

MAX_ATTEMPTS = 3
"""A trial that died or a forced one that failed is tried this often in all."""

_FIXED_PARAMS = "fixed_params"
"""Where Optuna keeps the params of an enqueued trial."""

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


def trials_to_enqueue(
    trials: Sequence[FrozenTrial], space: SearchSpace, carried_over: Sequence[CarriedOver] = ()
) -> list[QueuedTrial]:
    """What has to be enqueued now, given all trials of the study in order."""
    missing = []
    for forced in _forced_trials(space, carried_over):
        attempts = [t for t in trials if forced.user_attrs.items() <= t.user_attrs.items()]
        if not attempts:
            missing.append(forced)
        elif attempts[-1].state is TrialState.FAIL and len(attempts) < MAX_ATTEMPTS:
            missing.append(_retry(attempts[-1], forced.params | known_params(attempts[-1])))
    retried = {t.user_attrs.get(Tag.RETRY_OF) for t in trials}
    for trial in trials:
        is_forced = {Tag.FORCED_EXTREME, Tag.WARM_START} & trial.user_attrs.keys()
        died = failure_reason(trial) in (PROCESS_DIED, INTERRUPTED)
        params = known_params(trial)
        is_missing = died and not is_forced and trial.number not in retried and params
        if is_missing and _attempts(trial, trials) < MAX_ATTEMPTS:
            missing.append(_retry(trial, params))
    return missing


def _forced_trials(space: SearchSpace, carried_over: Sequence[CarriedOver]) -> list[QueuedTrial]:
    """The trials that a study begins with: the extremes, then what smaller studies recommend.

    The extremes have the training settings that were best there, or those of the sampler.
    """
    settings = {
        name: carried_over[0].params[name] for name in (space.ranges if carried_over else ())
    }
    extremes = [
        QueuedTrial(
            params=space.architecture_params(architecture) | settings,
            user_attrs={Tag.FORCED_EXTREME.value: label},
        )
        for label, architecture in distinct_extremes(space.grid).items()
    ]
    tried = [extreme.params for extreme in extremes]
    others = [
        QueuedTrial(params=dict(each.params), user_attrs={Tag.WARM_START.value: each.source})
        for each in carried_over
        if each.params not in tried
    ]
    return [*extremes, *others]


def own_trials(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that this program ran, and those that it has yet to run.

    What somebody added to the storage by hand (`optuna.Study.add_trial`, `tell`) is left out: it
    has none of the metrics that a trial of this program ends with, or is a copy of one that has.
    The sampler learns from it all the same.
    """
    starts: set[object] = set()
    own = []
    for trial in trials:
        is_copy = trial.datetime_start is not None and trial.datetime_start in starts
        starts.add(trial.datetime_start)
        has_end = trial.state.name not in FINISHED_STATES or METRICS_ATTR in trial.user_attrs
        if has_end and not is_copy:
            own.append(trial)
    return own


def best_trial(study: optuna.Study) -> FrozenTrial | None:
    """The study's own complete trial with the lowest value; None before there is one."""
    complete = [
        trial
        for trial in own_trials(study.get_trials(deepcopy=False))
        if trial.state is TrialState.COMPLETE and trial.value is not None
    ]
    return min(complete, key=lambda trial: trial.value or 0.0, default=None)


def counts_towards_plan(trial: FrozenTrial) -> bool:
    """Whether it is one of the finished trials that `n_trials` asks for: a supplement is extra."""
    return trial.state.name in FINISHED_STATES and Tag.SUPPLEMENT not in trial.user_attrs


def finished_trials(study: optuna.Study) -> int:
    """How many of the trials that `n_trials` asks for the study has."""
    return sum(map(counts_towards_plan, own_trials(study.get_trials(deepcopy=False))))


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
        _architecture_params(trial.system_attrs.get(_FIXED_PARAMS, {}))
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
    trials = study.get_trials(deepcopy=False)
    warm = warm_start_of(study)
    for queued in trials_to_enqueue(trials, space, warm.carried_over if warm else ()):
        study.enqueue_trial(queued.params, user_attrs=queued.user_attrs)


def _retry(trial: FrozenTrial, params: dict[str, Any]) -> QueuedTrial:
    first_attempt = trial.user_attrs.get(FIRST_ATTEMPT_ATTR, trial.number)
    attrs: dict[str, Any] = {
        Tag.RETRY_OF.value: trial.number,
        FIRST_ATTEMPT_ATTR: first_attempt,
    }
    for tag in START_TAGS:
        if tag in trial.user_attrs:
            attrs.setdefault(tag.value, trial.user_attrs[tag])
    return QueuedTrial(params=dict(params), user_attrs=attrs)


def known_params(trial: FrozenTrial) -> dict[str, Any]:
    """The params of a trial that were chosen, by the sampler or when it was enqueued: its process
    may have died before it came to take them."""
    return {**trial.system_attrs.get(_FIXED_PARAMS, {}), **trial.params}


def _architecture_params(params: Mapping[str, Any]) -> tuple[Any, Any]:
    return params.get(SHAPE_INDEX), params.get(LOG2_N_HEADS)


def _attempts(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """How often these params were tried, `trial` being the last time."""
    attempts = 1
    while (number := trial.user_attrs.get(Tag.RETRY_OF)) is not None:
        trial = trials[number]
        attempts += 1
    return attempts

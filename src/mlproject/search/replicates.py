"""Which configuration a study tries again, with the next common seed.

A part of a study's trials are replicates: the lowest of many losses is the luckiest one, and only
further seeds tell luck from merit. Which configuration gets the next one is chosen by top-two
Thompson sampling (Russo, "Simple Bayesian Algorithms for Best-Arm Identification", 2020, section
3.3): the one that is the best in a draw from the posterior or, half of the time, the best of the
others.
"""

from collections.abc import Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from mlproject.models.extremes import distinct_extremes
from mlproject.search.configurations import configurations, estimate_configurations
from mlproject.search.search_space import SearchSpace, derived_seed
from mlproject.search.trial_queue import QueuedTrial, own_trials
from mlproject.tracking.names import Tag

REPLICATED_SHARE = 0.3
"""Of the trials beyond the forced extremes."""

_DRAWS = 400
_LEADER = 0.5
"""How often the best one of the draw is taken itself."""


def replicates_of_plan(space: SearchSpace) -> int:
    """How many of the `n_trials` of a study are replicates."""
    if not space.has_replicates:
        return 0
    free = space.settings.n_trials - len(distinct_extremes(space.grid))
    return max(0, int(REPLICATED_SHARE * free))


def enqueue_replicates(
    study: optuna.Study, space: SearchSpace, to_start: int, *, unbegun: int = 0
) -> None:
    """Enqueue the replicates among the next `to_start` trials, once enough has been explored.

    `unbegun` trials were started and may not have been taken from the queue yet.
    """
    if not space.has_replicates:
        return
    trials = own_trials(study.get_trials(deepcopy=False))
    waiting = sum(trial.state is TrialState.WAITING for trial in trials)
    explored = sum(map(_explores, trials)) + max(0, unbegun - waiting)
    to_explore = space.settings.n_trials - replicates_of_plan(space)
    for index in range(to_start - max(0, waiting - unbegun)):
        if explored < to_explore:
            explored += 1
            continue
        chosen = choose_replicate(trials, space, len(trials) + index)
        if chosen is not None:
            study.enqueue_trial(chosen.params, user_attrs=chosen.user_attrs)
            trials = own_trials(study.get_trials(deepcopy=False))


def _explores(trial: FrozenTrial) -> bool:
    """Whether the trial is, or will be, one of a configuration that was not tried before."""
    is_extra = is_replicate(trial) or Tag.SUPPLEMENT in trial.user_attrs
    return trial.state is not TrialState.FAIL and not is_extra


def is_replicate(trial: FrozenTrial) -> bool:
    """Whether the trial tries an earlier one again with another seed."""
    return Tag.REPLICATE_OF in trial.user_attrs


def choose_replicate(
    trials: Sequence[FrozenTrial], space: SearchSpace, index: int
) -> QueuedTrial | None:
    """The next replicate, given all trials of the study; None while none is complete.

    It follows from the trials and `index`, which tells replicates apart that are chosen together.
    """
    tried = configurations(trials, space)
    if not tried:
        return None
    seed = derived_seed(space.settings.seed, index)
    best = estimate_configurations(tried, space).draws(seed, _DRAWS).argmin(axis=1)
    chosen = int(best[0])
    if np.random.default_rng(seed).random() >= _LEADER:
        chosen = next((int(other) for other in best if other != chosen), chosen)
    configuration = tried[chosen]
    return QueuedTrial(
        params=dict(configuration.params),
        user_attrs={
            Tag.REPLICATE_OF.value: configuration.first_trial,
            Tag.REPLICATE.value: configuration.next_replicate,
        },
    )

"""The sampler and the pruner of every study, their arguments written out."""

from typing import Any

import optuna

from mlproject.search.search_space import derived_seed

SAMPLER_SETTINGS: dict[str, Any] = {
    "n_startup_trials": 10,
    "n_ei_candidates": 24,
    "multivariate": True,
    "group": False,
    "constant_liar": True,
}
PRUNER_SETTINGS: dict[str, Any] = {
    "n_startup_trials": 6,  # the forced extremes are never pruned against fewer
    "n_warmup_steps": 10,  # first epoch that may be pruned; before, the rate is warming up
    "interval_steps": 1,
    "n_min_trials": 3,
}


def make_sampler(study_seed: int, trials_so_far: int) -> optuna.samplers.TPESampler:
    """The sampler of the next trial.

    Seeded by how many trials there are, so that what it suggests depends on the study and its
    history alone: a study launched again goes on instead of repeating its first random draws.
    """
    return optuna.samplers.TPESampler(
        **SAMPLER_SETTINGS, seed=derived_seed(study_seed, trials_so_far)
    )


def may_be_pruned(epoch: int) -> bool:
    """Whether the pruner may stop a trial after this epoch.

    Before, its answer is known, and asking costs it a look at all trials of the study.
    """
    return epoch >= PRUNER_SETTINGS["n_warmup_steps"]


def make_pruner() -> optuna.pruners.MedianPruner:
    """Stops a trial whose best validation loss so far is above the median of the others'."""
    return optuna.pruners.MedianPruner(**PRUNER_SETTINGS)

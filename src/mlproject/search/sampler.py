"""The sampler and the pruner of each version of the search space, their arguments written out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler

from mlproject.search.search_space import derived_seed

_Made = TypeVar("_Made", BaseSampler, BasePruner)


@dataclass(frozen=True)
class Recipe(Generic[_Made]):
    """A class of Optuna's and the arguments it is made with."""

    kind: type[_Made]
    arguments: Mapping[str, Any]

    def make(self, **more: Any) -> _Made:
        """A new one."""
        kind: Callable[..., _Made] = self.kind
        return kind(**self.arguments, **more)

    def as_dict(self) -> dict[str, Any]:
        """Its name under ``class``, then its arguments."""
        return {"class": self.kind.__name__, **self.arguments}

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.kind.__name__}({arguments})"


_TPE: Recipe[BaseSampler] = Recipe(
    TPESampler,
    {
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": False,
        "constant_liar": True,
    },
)
SAMPLERS: Mapping[int, Recipe[BaseSampler]] = {1: _TPE, 2: _TPE}
"""By version of the search space."""
PRUNERS: Mapping[int, Recipe[BasePruner]] = {
    # Stops a trial whose best validation loss so far is above the median of the others'.
    1: Recipe(
        MedianPruner,
        {
            "n_startup_trials": 6,  # the forced extremes are never pruned against fewer
            "n_warmup_steps": 10,  # first epoch that may be pruned; before, the rate is warming up
            "interval_steps": 1,
            "n_min_trials": 3,
        },
    ),
    # A low rate lags behind until its curve is the lowest of all: no epoch tells good from bad.
    2: Recipe(NopPruner, {}),
}
"""As `SAMPLERS`."""


def make_sampler(search_space: int, study_seed: int, seed_index: int) -> BaseSampler:
    """The sampler of the next trial.

    It is seeded by how many trials there are, so that what it suggests depends on the study and its
    history alone: a study launched again goes on instead of repeating its first random draws.
    """
    return SAMPLERS[search_space].make(seed=derived_seed(study_seed, seed_index))


def make_pruner(search_space: int) -> BasePruner:
    """The pruner of a study."""
    return PRUNERS[search_space].make()


def may_be_pruned(search_space: int, epoch: int) -> bool:
    """Whether the pruner may stop a trial after this epoch.

    Before, its answer is known, and asking costs it a look at all trials of the study.
    """
    first = first_asked(search_space)
    return first is not None and epoch >= first


def first_asked(search_space: int) -> int | None:
    """The first epoch at which the pruner may stop a trial; None where there is no such pruner."""
    pruner = PRUNERS.get(search_space)
    return pruner.arguments.get("n_warmup_steps") if pruner else None

"""The params of a trial that analyses compare: its architecture, and how it was trained.

They follow from the names that the whole program shares: a new hyper-parameter is compared at once.
"""

from mlproject.tracking.names import SEARCHED_PARAMS, Metric, Param, Tag
from mlproject.tracking.tracked_studies import TrackedTrial

DIMENSIONS = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)
"""What an architecture consists of; the other architecture params say where it is found."""

TRAINING_PARAMS = tuple(param for param in Param if param in {*SEARCHED_PARAMS, Param.BATCH_SIZE})
"""What the search chooses beside the architecture, and the batch size, which the study gives."""

_DIVERGED_LOSS = 10.0
"""Cross-entropy in nats: the old program wrote 100 for a loss that was not finite."""


def architecture_of(trial: TrackedTrial) -> tuple[int | float | str, ...] | None:
    """The `DIMENSIONS` of a trial's architecture; None where one of them is not known."""
    params = trial.trial.params
    if any(dimension not in params for dimension in DIMENSIONS):
        return None
    return tuple(params[dimension] for dimension in DIMENSIONS)


def has_diverged(trial: TrackedTrial) -> bool:
    """Whether the trial's loss exploded."""
    loss = trial.trial.metrics.get(Metric.BEST_VAL_LOSS)
    return Tag.DIVERGED in trial.trial.tags or (loss is not None and not loss < _DIVERGED_LOSS)

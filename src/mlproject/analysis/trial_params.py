"""The params of a trial that analyses compare: its architecture, and how it was trained.

They follow from the names that the whole program shares: a new hyper-parameter is compared at once.
"""

from mlproject.tracking.names import SEARCHED_PARAMS, Param
from mlproject.tracking.tracked_studies import TrackedTrial

DIMENSIONS = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)
"""What an architecture consists of; the other architecture params say where it is found."""

TRAINING_PARAMS = tuple(param for param in Param if param in {*SEARCHED_PARAMS, Param.BATCH_SIZE})
"""What the search chooses beside the architecture, and the batch size, which the study gives."""


def architecture_of(trial: TrackedTrial) -> tuple[int | float | str, ...] | None:
    """The `DIMENSIONS` of a trial's architecture; None where one of them is not known."""
    params = trial.trial.params
    if any(dimension not in params for dimension in DIMENSIONS):
        return None
    return tuple(params[dimension] for dimension in DIMENSIONS)

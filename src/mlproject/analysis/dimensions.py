"""The architecture of a trial as its params say it. How a trial trains is in `names` alone."""

from mlproject.tracking.names import Param
from mlproject.tracking.tracked_studies import TrackedTrial

DIMENSIONS = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)
"""What an architecture consists of; the other architecture params say where it is found."""


def architecture_of(trial: TrackedTrial) -> tuple[int | float | str, ...] | None:
    """The `DIMENSIONS` of a trial's architecture; None where one of them is not known."""
    params = trial.trial.params
    if any(dimension not in params for dimension in DIMENSIONS):
        return None
    return tuple(params[dimension] for dimension in DIMENSIONS)

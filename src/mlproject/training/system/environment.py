"""The environment variables that torch reads as it is imported: to be set before."""

import os

SPIN_COUNT = 1000
"""How long idle OpenMP threads spin: long enough for the next operation of a training step, short
enough to leave the cores to others.

By default idle threads spin for milliseconds, and several studies on one machine slow each other
down many times over; threads that sleep at once make a study that is alone a third slower (see
docs/benchmarks.md).
"""


def set_torch_environment() -> None:
    """Choose how idle threads wait and how large tensors are allocated, unless the user has."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    # Large pages for large CPU tensors: a fifth less time for a step of a 2B network, whose
    # memory is asked for anew again and again.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

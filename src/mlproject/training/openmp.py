"""How long idle threads of torch spin. To be called before torch is imported."""

import os

SPIN_COUNT = 1000
"""Long enough for the next operation of a training step, short enough to leave the cores to others.

By default idle threads spin for milliseconds, and several studies on one machine slow each other
down many times over; threads that sleep at once make a study that is alone a third slower (see
docs/benchmarks.md).
"""


def shorten_idle_spinning() -> None:
    """Let idle OpenMP threads sleep soon, unless the user has set how they wait."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)

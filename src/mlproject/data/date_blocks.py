"""Blocks of days of the validation span: what losses of neighbouring days are counted as.

The losses of windows that share days, of input or of outcome, are not independent, and neither are
those of different markets on one day. Means over blocks of days that are longer than what windows
share nearly are.
"""

import numpy as np
import numpy.typing as npt

from mlproject.models.arch_grid import WINDOW_DAYS

MAX_BLOCKS = 10
"""Enough for a test with nine degrees of freedom, and few enough for a line of the trial log."""


def date_blocks(days: npt.NDArray[np.datetime64], *, horizon_days: int) -> npt.NDArray[np.int64]:
    """The block, counted from 0, of each window (windows,) that ends on the given days.

    There are up to `MAX_BLOCKS` contiguous blocks with equally many of the days on which a window
    ends (one more or less), each with at least a window and its horizon of them.
    """
    distinct = np.unique(days)
    longest_shared = WINDOW_DAYS + horizon_days
    n_blocks = max(1, min(MAX_BLOCKS, len(distinct) // longest_shared))
    position = np.searchsorted(distinct, days)
    return (position * n_blocks // max(1, len(distinct))).astype(np.int64)

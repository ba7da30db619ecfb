"""The pairs of width and depth among trials, and what is to be expected of each.

The study and the learning rate are accounted for; heads, feed-forward width and the other settings
are part of what a trial scatters by.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.analysis.claims.cell_estimates import CellEstimates, cell_estimates

_LEAST_TRIALS = 10
"""Fewer trials leave nothing to estimate the learning rate's effect by."""

Floats = npt.NDArray[np.float64]


def shape_estimates(trials: pd.DataFrame) -> CellEstimates:
    """Estimate each (width, depth), of trials of one budget and target."""
    shapes = pd.Series(
        list(zip(trials["d_model"].astype(int), trials["n_layers"].astype(int), strict=True))
    )
    terms = [trials["study"] == study for study in trials["study"].unique()]
    if len(trials) >= _LEAST_TRIALS:
        terms += learning_rate_terms(trials)
    return cell_estimates(
        shapes,
        trials["loss"].to_numpy(np.float64),
        np.column_stack(terms).astype(np.float64),
    )


def learning_rate_terms(trials: pd.DataFrame) -> list[pd.Series]:
    """The learning rate's terms in a model of the loss: it has a best value, so there are two."""
    logs = np.log2(trials["learning_rate"].astype(float))
    steps = (logs - logs.mean()).fillna(0.0)
    return [steps, steps**2]

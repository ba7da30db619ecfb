"""The scores of an evaluation market by market, of a study of several."""

import numpy as np
import pandas as pd

from mlproject.analysis.evaluation.note import NETWORK
from mlproject.analysis.evaluation.results import TestResults
from mlproject.analysis.evaluation.scores import score_probabilities


def market_score_table(results: TestResults) -> pd.DataFrame:
    """The scores within each market: a row per market and network, by the number of its seed, or
    baseline."""
    assert results.markets is not None
    predictors = [
        *((NETWORK, number, each) for number, each in enumerate(results.network, 1)),
        *((name, None, each) for name, each in results.baselines.items()),
    ]
    names, of_window, counts = np.unique(results.markets, return_inverse=True, return_counts=True)
    windows = np.split(np.argsort(of_window, kind="stable"), np.cumsum(counts)[:-1])
    rows: list[dict[str, object]] = []
    for market, here in zip(names, windows, strict=True):
        labels = results.labels[here]
        for name, number, probabilities in predictors:
            scores = score_probabilities(probabilities[here], labels)
            rows.append(
                {
                    "market": market,
                    "windows": len(here),
                    "rises": labels.mean(),
                    "predictor": name,
                    "seed": number,
                    **{str(metric): value for metric, value in scores.items()},
                }
            )
    return pd.DataFrame(rows).astype({"seed": "Int64"})

"""The recommended architecture of a study, in words, as metrics and tags, and as a table."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from mlproject.text.phrases import counted
from mlproject.tracking.names import (
    ARCHITECTURES_FILE,
    RECOMMENDED_TAG,
    RECOMMENDED_TRIAL_TAG,
    RecommendedMetric,
)

if TYPE_CHECKING:
    from mlproject.search.recommendation import ArchitectureEstimate  # it imports torch


def recommendation_as_logged(
    ranked: Sequence["ArchitectureEstimate"],
) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics and tags of the parent run; none where no trial has a loss."""
    if not ranked:
        return {}, {}
    first = ranked[0]
    metrics = {
        RecommendedMetric.VAL_LOSS: first.val_loss,
        RecommendedMetric.LOW: first.low,
        RecommendedMetric.HIGH: first.high,
        RecommendedMetric.PROBABILITY_BEST: first.probability_best,
        RecommendedMetric.AMONG_BEST: float(_among_best(ranked)),
    }
    tags = {
        RECOMMENDED_TAG: first.as_text(),
        RECOMMENDED_TRIAL_TAG: str(first.trial),
    }
    return {str(name): value for name, value in metrics.items()}, tags


def recommendation_in_words(ranked: Sequence["ArchitectureEstimate"]) -> Iterator[str]:
    """A paragraph of the study's note."""
    if not ranked:
        return
    first = ranked[0]
    yield (
        f"**Recommended**: {first.as_text()}, with the settings of trial {first.trial}. Its "
        f"expected validation loss over seeds is {first.val_loss:.4f} ({first.low:.4f} to "
        f"{first.high:.4f}), estimated from all trials, {first.n_seeds} of them of this very "
        f"configuration; with probability {first.probability_best:.0%} no other of the "
        f"{counted(len(ranked), 'architecture')} tried is better, and "
        f"{_among_best(ranked) - 1} of them cannot be told from it ({ARCHITECTURES_FILE})."
    )


def table_of_architectures(ranked: Sequence["ArchitectureEstimate"]) -> pd.DataFrame:
    """A row for each architecture tried, the recommended one first."""
    return pd.DataFrame(
        {
            "arch_idx": each.architecture.arch_idx,
            "d_model": each.architecture.d_model,
            "n_layers": each.architecture.n_layers,
            "n_heads": each.architecture.n_heads,
            "d_ff": each.architecture.d_ff,
            "param_count": each.architecture.param_count,
            "trial": each.trial,
            "n_trials": each.n_trials,
            "n_seeds": each.n_seeds,
            "val_loss": each.val_loss,
            "low": each.low,
            "high": each.high,
            "probability_best": each.probability_best,
            "among_best": each.is_among_best,
        }
        for each in ranked
    )


def _among_best(ranked: Sequence["ArchitectureEstimate"]) -> int:
    return sum(each.is_among_best for each in ranked)

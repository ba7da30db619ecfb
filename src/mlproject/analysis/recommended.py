"""What a study recommends, as its parent run says it. Nothing is estimated here.

The estimate is made in `search.recommendation` and written down in `summary.recommendation`.
"""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mlproject.analysis.dimensions import DIMENSIONS, architecture_of
from mlproject.tracking.names import RECOMMENDED_TRIAL_TAG, RecommendedMetric
from mlproject.tracking.tracked_studies import TrackedStudy, TrackedTrial

_WHOLE = (*map(str, DIMENSIONS), "trial", "n_trials", "n_seeds")
_REAL = ("val_loss", "low", "high", "probability_best")
_AMONG_BEST = "among_best"
_TYPES: Mapping[str, type] = {**dict.fromkeys(_WHOLE, int), **dict.fromkeys(_REAL, float)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Recommendation:
    """The architecture that a study recommends, by the estimate over all of its trials."""

    trial: TrackedTrial
    """The first of the recommended configuration."""
    val_loss: float
    """The expected validation loss over seeds; `low` and `high` are the ends of its interval."""
    low: float
    high: float
    probability_best: float
    """That no other architecture tried has a lower expected loss."""
    among_best: int
    """How many architectures cannot be told from it, itself included."""
    architectures: pd.DataFrame | None
    """The estimate of every architecture tried, the recommended one first, by the names of its file
    in MLflow; None where that was not read or is of another launch."""

    @property
    def trials_among_best(self) -> tuple[int, ...]:
        """The numbers of the first trials of all that cannot be told from it, the lowest estimate
        first; of the recommended one alone where the others are not known."""
        if self.architectures is None:
            return (self.trial.trial.trial_number,)
        of_set = self.architectures[self.architectures[_AMONG_BEST]]
        return tuple(int(number) for number in of_set["trial"])


def recommended_trial(study: TrackedStudy) -> TrackedTrial | None:
    """The first trial of the configuration that a study recommends; None where it names none.

    What is known from logs alone is not in the estimate, and may have the same number.
    """
    number = study.tags.get(RECOMMENDED_TRIAL_TAG)
    return next(
        (each for each in live_trials(study) if str(each.trial.trial_number) == number), None
    )


def live_trials(study: TrackedStudy) -> list[TrackedTrial]:
    """The trials that a study itself ran, in any state."""
    return [each for each in study.trials if not each.trial.is_recovered]


def recommendation_of(study: TrackedStudy) -> Recommendation | None:
    """What a study recommends; None where its runs do not say it in full."""
    trial = recommended_trial(study)
    if trial is None or architecture_of(trial) is None:
        return None
    if any(name not in study.metrics for name in RecommendedMetric):
        return None
    said = {name: study.metrics[name] for name in RecommendedMetric}
    return Recommendation(
        trial=trial,
        val_loss=said[RecommendedMetric.VAL_LOSS],
        low=said[RecommendedMetric.LOW],
        high=said[RecommendedMetric.HIGH],
        probability_best=said[RecommendedMetric.PROBABILITY_BEST],
        among_best=round(said[RecommendedMetric.AMONG_BEST]),
        architectures=_table(study.architectures, trial, said[RecommendedMetric.VAL_LOSS]),
    )


def _table(text: str | None, trial: TrackedTrial, val_loss: float) -> pd.DataFrame | None:
    """The table of a text; None where it is none, or not the one that the run's metrics go with."""
    try:
        table = pd.read_csv(io.StringIO(text or ""))
        table = table[[*_TYPES, _AMONG_BEST]].astype(_TYPES)
    except (ValueError, KeyError):
        return None
    if table.empty or table[_AMONG_BEST].dtype != bool:
        return None
    first = table.iloc[0]
    agrees = first["trial"] == trial.trial.trial_number and math.isclose(
        first["val_loss"], val_loss
    )
    return table if agrees else None

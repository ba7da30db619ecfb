"""The check whether trials differ by more than their seeds do."""

from collections.abc import Iterator
from statistics import fmean, variance

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.analysis.dimensions import architecture_of
from mlproject.tracking.names import Metric, Param
from mlproject.tracking.tracked_studies import TrackedTrial, ranked_trials
from mlproject.training.settings import hyperparameters_of

SEED_SPREAD = FindingKind(
    title="seeds spread as architectures do",
    advice="repeat the best trials with other seeds before choosing one of them",
    is_advice=True,
)

_REPLICATES_AT_LEAST = 3
"""Fewer further seeds say little about the spread of any."""
_DIFFERENT_AT_LEAST = 5
_LARGE_SHARE = 0.5
"""Of the variance between trials of different architecture or settings."""


def seed_spread(study: AnalysedStudy) -> Iterator[Finding]:
    """Find that most of the variance between trials is that between seeds, where any is repeated.

    Replicates differ in the seed alone, as do repetitions of old studies, each of whose trials has
    a seed of its own; logs of others do not say theirs.
    """
    groups: dict[tuple[object, ...], list[TrackedTrial]] = {}
    for trial in sorted(ranked_trials(study.finished), key=lambda t: t.trial.trial_number):
        architecture, params = architecture_of(trial), trial.trial.params
        said = hyperparameters_of(int(params.get(Param.SEARCH_SPACE, 1)))
        is_known = architecture is not None and all(Param(row.name) in params for row in said)
        if is_known and not trial.trial.is_recovered:
            settings = tuple(params[Param(row.name)] for row in said)
            groups.setdefault((architecture, *settings), []).append(trial)
    repeated = [group for group in groups.values() if len(group) > 1]
    further = sum(len(group) - 1 for group in repeated)
    if further < _REPLICATES_AT_LEAST or len(groups) < _DIFFERENT_AT_LEAST:
        return
    squares = sum((loss - fmean(ls)) ** 2 for ls in map(_losses, repeated) for loss in ls)
    of_seeds = squares / further
    # One trial of each, so that the variance is that of a trial and not of a mean.
    of_all = variance(_losses([group[0] for group in groups.values()]))
    if of_seeds > _LARGE_SHARE * of_all:
        trials = [trial for group in repeated for trial in group]
        text = (
            f"seeds alone spread the validation loss by {of_seeds**0.5:.4f} ({len(trials)} trials "
            f"of {len(repeated)} repeated), different architectures and settings by "
            f"{of_all**0.5:.4f} ({len(groups)} trials), seeds included"
        )
        yield Finding(kind=SEED_SPREAD, text=text, runs=run_refs(trials))


def _losses(trials: list[TrackedTrial]) -> list[float]:
    return [trial.trial.metrics[Metric.BEST_VAL_LOSS] for trial in trials]

"""The check for trials that were run twice, or nearly so."""

from collections.abc import Iterator, Sequence

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.analysis.dimensions import DIMENSIONS, architecture_of
from mlproject.tracking.names import HYPERPARAMETER_PARAMS, Param, Tag
from mlproject.tracking.tracked_studies import TrackedTrial

DUPLICATES = FindingKind(title="near-duplicates", advice="count them as one", names_trials=True)

NEARLY = 0.02
"""Numbers that differ by at most this fraction of the larger are nearly the same."""


def near_duplicates(study: AnalysedStudy) -> Iterator[Finding]:
    """Find finished trials of one architecture with nearly the same training settings."""
    groups: dict[tuple[int | float | str, ...], list[TrackedTrial]] = {}
    for trial in study.finished:
        architecture = architecture_of(trial)
        if architecture is not None and Tag.REPLICATE_OF not in trial.trial.tags:
            groups.setdefault(architecture, []).append(trial)
    for architecture, trials in groups.items():
        for group in _clusters(trials):
            numbers = ", ".join(str(t.trial.trial_number) for t in group)
            shape = ", ".join(f"{d} {v}" for d, v in zip(DIMENSIONS, architecture, strict=True))
            text = f"trials {numbers} are nearly the same: {shape}, settings within {NEARLY:.0%}"
            yield Finding(kind=DUPLICATES, text=text, runs=run_refs(group))


def _clusters(trials: Sequence[TrackedTrial]) -> list[list[TrackedTrial]]:
    """Groups of two or more, each trial nearly the same as the first of its group."""
    groups: list[list[TrackedTrial]] = []
    for trial in trials:
        group = next((g for g in groups if _are_nearly_the_same(g[0], trial)), None)
        if group is None:
            groups.append([trial])
        else:
            group.append(trial)
    return [group for group in groups if len(group) > 1]


def _are_nearly_the_same(one: TrackedTrial, other: TrackedTrial) -> bool:
    """Whether both know the same settings, the learning rate among them, and these agree."""
    ours, theirs = one.trial.params, other.trial.params
    known = [param for param in HYPERPARAMETER_PARAMS if param in ours or param in theirs]
    return Param.LEARNING_RATE in known and all(
        param in ours and param in theirs and _are_near(float(ours[param]), float(theirs[param]))
        for param in known
    )


def _are_near(a: float, b: float) -> bool:
    return abs(a - b) <= NEARLY * max(abs(a), abs(b))

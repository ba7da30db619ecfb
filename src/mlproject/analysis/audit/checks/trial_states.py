"""The checks for trials that are missing, unfinished or failed."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.analysis.dimensions import architecture_of
from mlproject.tracking.names import Tag, TrialState
from mlproject.tracking.tracked_studies import TrackedTrial

MISSING_TRIALS = FindingKind(
    title="trials missing", advice="launch the study again: it goes on where it stands"
)
UNFINISHED = FindingKind(
    title="trials unfinished",
    advice="launch the study again: what its process left is closed and tried again",
)
FAILED = FindingKind(
    title="trials failed", advice="launch the study again after mending the reason"
)


def missing_trials(study: AnalysedStudy) -> Iterator[Finding]:
    """Find fewer trials than planned, and trial numbers that have no run."""
    finished = len(study.planned_finished)
    if finished < study.planned:
        states = Counter(str(t.trial.state) for t in study.trials)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        text = f"{finished} of {study.planned} trials finished"
        yield Finding(kind=MISSING_TRIALS, text=f"{text} ({counts})" if counts else text)
    numbers = {t.trial.trial_number for t in study.trials}
    left_out = sorted(set(range(max(numbers, default=-1) + 1)) - numbers)
    if left_out:
        text = f"{len(left_out)} trial numbers have no run: {_ranges(left_out)}"
        yield Finding(kind=MISSING_TRIALS, text=text)


def unfinished_trials(study: AnalysedStudy) -> Iterator[Finding]:
    """Find trials in progress, and those that a dead process left so."""
    running = [t for t in study.trials if t.trial.state is TrialState.RUNNING]
    if not running:
        return
    since = datetime.fromtimestamp(min(t.trial.started_ms for t in running) / 1000, UTC)
    is_launched = study.tracked.status == "RUNNING"
    left = "" if is_launched else ", though no launch of the study is running"
    text = f"{len(running)} trials unfinished since {since:%Y-%m-%d %H:%M} UTC{left}"
    yield Finding(kind=UNFINISHED, text=text, runs=run_refs(running))


def failed_trials(study: AnalysedStudy) -> Iterator[Finding]:
    """Find failed trials, by reason; made good where a retry or the same architecture finished."""
    retried = {t.trial.tags.get(Tag.RETRY_OF) for t in study.finished}
    groups: dict[tuple[str, bool], list[TrackedTrial]] = {}
    for trial in study.trials:
        if trial.trial.state is TrialState.FAIL:
            reason = trial.trial.tags.get(Tag.FAILURE_REASON, "no reason known")
            was_retried = str(trial.trial.trial_number) in retried
            good = was_retried or architecture_of(trial) in study.sound_architectures
            groups.setdefault((" ".join(reason.split()), good), []).append(trial)
    for (reason, good), trials in sorted(groups.items()):
        text = f"{len(trials)} failed: {reason}" + (" (made good by a later trial)" * good)
        yield Finding(kind=FAILED, text=text, runs=run_refs(trials), repaired=good)


def _ranges(numbers: Sequence[int]) -> str:
    """The ascending numbers with neighbours joined, such as ``3, 7-9``."""
    parts = []
    for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(parts)

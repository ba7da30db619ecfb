"""Which trials of a study are missing, unfinished, failed, diverged or run twice."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mlproject.analysis.audit.coverage import DIMENSIONS, architecture_of
from mlproject.analysis.audit.findings import Finding, Kind, run_refs
from mlproject.analysis.audit.study_facts import StudyFacts
from mlproject.tracking.names import Param, Tag, TrialState
from mlproject.tracking.tracked_studies import TrackedTrial

_SETTINGS = (
    Param.LEARNING_RATE,
    Param.EPOCHS,
    Param.BATCH_SIZE,
    Param.WEIGHT_DECAY,
    Param.WARMUP_STEPS,
    Param.DROPOUT,
)
NEARLY = 0.02
"""Settings that differ by less than this fraction are nearly the same."""

_SHARED_AT_LEAST = 2
_TELLING = 2.0
"""A value is named as shared if it is this much more frequent among the trials concerned."""


def missing_trials(facts: StudyFacts) -> list[Finding]:
    """Fewer trials than planned, and numbers that are left out."""
    findings = []
    finished = len(facts.planned_finished)
    if finished < facts.planned:
        states = Counter(str(t.trial.state) for t in facts.study.trials)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        text = f"{finished} of {facts.planned} trials finished"
        findings.append(
            Finding(kind=Kind.MISSING_TRIALS, text=f"{text} ({counts})" if counts else text)
        )
    numbers = {t.trial.trial_number for t in facts.study.trials}
    left_out = sorted(set(range(max(numbers, default=-1) + 1)) - numbers)
    if left_out:
        text = f"{len(left_out)} trial numbers have no run: {_ranges(left_out)}"
        findings.append(Finding(kind=Kind.MISSING_TRIALS, text=text))
    return findings


def unfinished_trials(facts: StudyFacts) -> list[Finding]:
    """Trials in progress, or left so by a process that died."""
    running = [t for t in facts.study.trials if t.trial.state is TrialState.RUNNING]
    if not running:
        return []
    since = datetime.fromtimestamp(min(t.trial.started_ms for t in running) / 1000, UTC)
    left = "" if facts.study.status == "RUNNING" else ", though no launch of the study is running"
    text = f"{len(running)} trials unfinished since {since:%Y-%m-%d %H:%M} UTC{left}"
    return [Finding(kind=Kind.UNFINISHED, text=text, runs=run_refs(running))]


def failed_trials(facts: StudyFacts) -> list[Finding]:
    """Failed trials by their reason; made good where the same architecture finished later."""
    failed = [t for t in facts.study.trials if t.trial.state is TrialState.FAIL]
    retried = {t.trial.tags.get(Tag.RETRY_OF) for t in facts.finished}
    groups: dict[tuple[str, bool], list[TrackedTrial]] = {}
    for trial in failed:
        reason = trial.trial.tags.get(Tag.FAILURE_REASON, "no reason known")
        good = str(trial.trial.trial_number) in retried or _was_made_good(trial, facts)
        groups.setdefault((" ".join(reason.split()), good), []).append(trial)
    return [
        Finding(
            kind=Kind.FAILED,
            text=f"{len(trials)} failed: {reason}" + (" (made good by a later trial)" * good),
            runs=run_refs(trials),
            repaired=good,
        )
        for (reason, good), trials in sorted(groups.items())
    ]


def diverged_trials(facts: StudyFacts) -> list[Finding]:
    """Trials whose loss ran away, and what they share; made good as failed ones are."""
    diverged = [t for t in facts.finished if t.trial.has_diverged]
    shared = _shared(diverged, facts.finished)
    findings: list[Finding] = []
    for good in (False, True):
        group = [t for t in diverged if _was_made_good(t, facts) is good]
        if group:
            text = f"{len(group)} diverged"
            if good:
                text += " (other trials of the same architectures did not)"
            if shared and not findings:
                text += f"; in common among the {len(diverged)} that did: {shared}"
            runs = run_refs(group)
            findings.append(Finding(kind=Kind.DIVERGED, text=text, runs=runs, repaired=good))
    return findings


def near_duplicates(facts: StudyFacts) -> list[Finding]:
    """Finished trials with one architecture and nearly the same settings."""
    groups: dict[tuple[int | float | str | None, ...], list[TrackedTrial]] = {}
    for trial in facts.finished:
        architecture = architecture_of(trial)
        if None not in architecture:
            groups.setdefault(architecture, []).append(trial)
    findings = []
    for architecture, trials in groups.items():
        for group in _clusters(trials):
            numbers = ", ".join(str(t.trial.trial_number) for t in group)
            shape = ", ".join(f"{d} {v}" for d, v in zip(DIMENSIONS, architecture, strict=True))
            text = f"trials {numbers} are nearly the same: {shape}, settings within {NEARLY:.0%}"
            findings.append(Finding(kind=Kind.DUPLICATES, text=text, runs=run_refs(group)))
    return findings


def _was_made_good(trial: TrackedTrial, facts: StudyFacts) -> bool:
    architecture = architecture_of(trial)
    return None not in architecture and any(
        architecture_of(other) == architecture and not other.trial.has_diverged
        for other in facts.finished
    )


def _shared(group: Sequence[TrackedTrial], all_trials: Sequence[TrackedTrial]) -> str:
    """Values that most of the group have and few of the others."""
    found = []
    for param in (*DIMENSIONS, Param.WARMUP_STEPS, Param.BATCH_SIZE, Param.EPOCHS):
        here = Counter(t.trial.params[param] for t in group if param in t.trial.params)
        if not here or len(group) < _SHARED_AT_LEAST:
            continue
        value, count = here.most_common(1)[0]
        usual = sum(t.trial.params.get(param) == value for t in all_trials) / len(all_trials)
        if count / len(group) > 0.5 and count / len(group) >= _TELLING * usual:
            found.append(f"{param} {value} ({count} of {len(group)})")
    for param in (Param.LEARNING_RATE, Param.WEIGHT_DECAY, Param.DROPOUT):
        here_values = _values(group, param)
        all_values = sorted(_values(all_trials, param))
        if len(here_values) == len(group) >= _SHARED_AT_LEAST and len(all_values) >= 8:
            low, high = all_values[len(all_values) // 4], all_values[-len(all_values) // 4]
            if min(here_values) >= high:
                found.append(f"a high {param} (≥ {min(here_values):.2g}, the upper quarter)")
            elif max(here_values) <= low:
                found.append(f"a low {param} (≤ {max(here_values):.2g}, the lower quarter)")
    return ", ".join(found)


def _values(trials: Iterable[TrackedTrial], param: Param) -> list[float]:
    return [float(t.trial.params[param]) for t in trials if param in t.trial.params]


def _clusters(trials: Sequence[TrackedTrial]) -> list[list[TrackedTrial]]:
    """Groups of two or more, each trial nearly the same as the first of its group."""
    groups: list[list[TrackedTrial]] = []
    for trial in trials:
        group = next((g for g in groups if _nearly_same(g[0], trial)), None)
        if group is None:
            groups.append([trial])
        else:
            group.append(trial)
    return [group for group in groups if len(group) > 1]


def _nearly_same(one: TrackedTrial, other: TrackedTrial) -> bool:
    ours, theirs = one.trial.params, other.trial.params
    known = [p for p in _SETTINGS if p in ours or p in theirs]
    return Param.LEARNING_RATE in known and all(
        p in ours and p in theirs and _near(float(ours[p]), float(theirs[p])) for p in known
    )


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= NEARLY * max(abs(a), abs(b))


def _ranges(numbers: Sequence[int]) -> str:
    """``3, 7-9`` for 3, 7, 8, 9."""
    parts = []
    for _, run in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(parts)

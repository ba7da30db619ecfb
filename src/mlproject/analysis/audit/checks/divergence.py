"""The check for trials that diverged, and what they have in common that others have not."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.analysis.dimensions import DIMENSIONS, architecture_of
from mlproject.tracking.names import HYPERPARAMETER_PARAMS, REAL_PARAMS, Param
from mlproject.tracking.tracked_studies import TrackedTrial

DIVERGED = FindingKind(
    title="trials diverged",
    advice="a result, of the settings named rather than of the architecture",
)

_SHARED_AT_LEAST = 2
"""Fewer trials have nothing in common that tells anything."""
_QUARTERS_AT_LEAST = 8
"""Fewer trials have no quarters worth naming."""
_TELLING = 2.0
"""A value is named as shared if it is this much more frequent among the trials concerned."""

# The last param first, as audits have always named them.
_COUNTED = (*DIMENSIONS, *(p for p in reversed(HYPERPARAMETER_PARAMS) if p not in REAL_PARAMS))
"""Params of few values, which trials have in common or not; of the others, ranges are compared."""


def diverged_trials(study: AnalysedStudy) -> Iterator[Finding]:
    """Find trials whose loss exploded; made good where others of the same architecture trained."""
    diverged = [t for t in study.finished if t.trial.has_diverged]
    by_good: dict[bool, list[TrackedTrial]] = {False: [], True: []}
    for trial in diverged:
        by_good[architecture_of(trial) in study.sound_architectures].append(trial)
    shared = ", ".join(_shared(diverged, study.finished))
    common = f"; in common among the {len(diverged)} that did: {shared}" if shared else ""
    for good, trials in by_good.items():
        if trials:
            others = " (other trials of the same architectures did not)" * good
            text = f"{len(trials)} diverged{others}{common}"
            yield Finding(kind=DIVERGED, text=text, runs=run_refs(trials), repaired=good)
            common = ""  # said once


def _shared(group: Sequence[TrackedTrial], all_trials: Sequence[TrackedTrial]) -> Iterator[str]:
    """Name values that most of the group have and few of all trials."""
    if len(group) < _SHARED_AT_LEAST:
        return
    for param in _COUNTED:
        values = Counter(t.trial.params[param] for t in group if param in t.trial.params)
        if values:
            value, count = values.most_common(1)[0]
            usual = sum(t.trial.params.get(param) == value for t in all_trials) / len(all_trials)
            share = count / len(group)
            if share > 0.5 and share >= _TELLING * usual:
                yield f"{param} {value} ({count} of {len(group)})"
    for param in REAL_PARAMS:
        theirs, every = _values(group, param), sorted(_values(all_trials, param))
        if len(theirs) == len(group) and len(every) >= _QUARTERS_AT_LEAST:
            low, high = every[len(every) // 4], every[-len(every) // 4]
            if min(theirs) >= high:
                yield f"a high {param} (≥ {min(theirs):.2g}, the upper quarter)"
            elif max(theirs) <= low:
                yield f"a low {param} (≤ {max(theirs):.2g}, the lower quarter)"


def _values(trials: Iterable[TrackedTrial], param: Param) -> list[float]:
    return [float(t.trial.params[param]) for t in trials if param in t.trial.params]

"""The check whether the runs of a study say which architectures its trials had."""

from collections.abc import Iterator

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.tracking.names import (
    ARCHITECTURE_PARAMS,
    N_HEADS_FROM_TAG,
    Param,
    TrialState,
)
from mlproject.tracking.tracked_studies import TrackedTrial

MISSING_PARAMS = FindingKind(
    title="architecture params missing", advice="the run is not compared where it lacks a value"
)

_KNOWN_OF_ALL = (Param.GRID_VERSION, Param.N_FEATURES)
"""Architecture params that a trial has before it has chosen an architecture."""


def missing_params(study: AnalysedStudy) -> Iterator[Finding]:
    """Find runs that lack architecture params or had their heads proven, and an unknown budget."""
    groups: dict[tuple[Param, ...], list[TrackedTrial]] = {}
    for trial in study.trials:
        missing = tuple(p for p in ARCHITECTURE_PARAMS if p not in trial.trial.params)
        if missing and not _died_before_it_chose(trial):
            groups.setdefault(missing, []).append(trial)
    for missing, trials in groups.items():
        text = f"{', '.join(missing)} missing in {len(trials)} of {len(study.trials)} runs"
        yield Finding(kind=MISSING_PARAMS, text=text, runs=run_refs(trials))
    proven = [t for t in study.trials if t.trial.tags.get(N_HEADS_FROM_TAG) == "grid"]
    if proven:
        text = (
            f"n_heads missing in the source of {len(proven)} of {len(study.trials)} runs; "
            "their grid proves it"
        )
        yield Finding(kind=MISSING_PARAMS, text=text, runs=run_refs(proven), repaired=True)
    if study.current_grid is None:
        text = "no param and no name says the study's budget: what was never tested is not judged"
        yield Finding(kind=MISSING_PARAMS, text=text)


def _died_before_it_chose(trial: TrackedTrial) -> bool:
    """Whether the trial has no architecture to tell, since its process died before the choice."""
    chosen = (param for param in ARCHITECTURE_PARAMS if param not in _KNOWN_OF_ALL)
    return trial.trial.state is TrialState.FAIL and not any(
        param in trial.trial.params for param in chosen
    )

"""Whether the params of a study's runs are there, and agree with each other and with the grid."""

from collections.abc import Iterator

from mlproject.analysis.audit.findings import Finding, Kind, run_refs
from mlproject.analysis.audit.study_facts import StudyFacts
from mlproject.models.arch_grid import GRID_VERSIONS, count_parameters
from mlproject.tracking.names import (
    ARCHITECTURE_PARAMS,
    MLFLOW_STATUS,
    N_HEADS_FROM_TAG,
    SIZE_METRICS,
    Param,
    TrialState,
)
from mlproject.tracking.tracked_studies import TrackedTrial

_OF_STUDY = (Param.BUDGET, Param.HORIZON, Param.TASK)
_OF_GRID = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)


def missing_params(facts: StudyFacts) -> list[Finding]:
    """Runs that lack architecture params, grouped by which; and those whose heads were proven."""
    groups: dict[tuple[Param, ...], list[TrackedTrial]] = {}
    proven = []
    for trial in facts.study.trials:
        missing = tuple(p for p in ARCHITECTURE_PARAMS if p not in trial.trial.params)
        # A trial whose process died before it chose anything has no architecture to tell.
        chose_nothing = trial.trial.state is TrialState.FAIL and not any(
            p in trial.trial.params for p in ARCHITECTURE_PARAMS[:-2]
        )
        if missing and not chose_nothing:
            groups.setdefault(missing, []).append(trial)
        if trial.trial.tags.get(N_HEADS_FROM_TAG) == "grid":
            proven.append(trial)
    findings = [
        Finding(
            kind=Kind.MISSING_PARAMS,
            text=f"{', '.join(missing)} missing in {len(trials)} of {len(facts.study.trials)} runs",
            runs=run_refs(trials),
        )
        for missing, trials in groups.items()
    ]
    if proven:
        text = (
            f"n_heads missing in the source of {len(proven)} of {len(facts.study.trials)} runs; "
            "their grid proves it"
        )
        findings.append(
            Finding(kind=Kind.MISSING_PARAMS, text=text, runs=run_refs(proven), repaired=True)
        )
    return findings


def contradictions(facts: StudyFacts) -> list[Finding]:
    """Runs whose params contradict each other, the grid, the study or their own status."""
    groups: dict[str, list[TrackedTrial]] = {}
    for trial in facts.study.trials:
        for text in _contradictions_of(trial, facts):
            groups.setdefault(text, []).append(trial)
    return [
        Finding(kind=Kind.CONTRADICTION, text=f"contradiction: {text}", runs=run_refs(trials))
        for text, trials in groups.items()
    ]


def _contradictions_of(trial: TrackedTrial, facts: StudyFacts) -> Iterator[str]:
    for param, text in trial.unreadable.items():
        yield f"{param} is {text!r}, which is no value"
    yield from _against_arithmetic(trial, facts)
    yield from _against_grid(trial, facts)
    yield from _against_study(trial, facts)
    for metric in SIZE_METRICS:
        said, value = trial.trial.params.get(Param(metric)), trial.trial.metrics.get(metric)
        if value is not None and said is not None and str(said) != f"{value:.0f}":
            yield f"{metric} is {said} as a param and {value:.0f} as a metric"
    status = MLFLOW_STATUS[trial.trial.state]
    if trial.status != status:
        yield f"its trial_state is {trial.trial.state} and its status {trial.status}"


def _against_arithmetic(trial: TrackedTrial, facts: StudyFacts) -> Iterator[str]:
    params = trial.trial.params
    d_model, n_layers, n_heads, d_ff, count, n_features = (
        int(params.get(p, 0)) for p in (*_OF_GRID, Param.N_FEATURES)
    )
    if d_model and n_heads and d_model % n_heads:
        yield f"{n_heads} heads do not divide d_model {d_model}"
    if d_model and n_layers and d_ff and count and n_features:
        right = count_parameters(
            d_model=d_model, n_layers=n_layers, d_ff=d_ff, num_features=n_features
        )
        if right != count:
            yield f"param_count is {count:,}, and its architecture has {right:,}"
    if count and facts.budget is not None and not facts.budget.fits(count):
        yield f"param_count {count:,} is outside the budget {facts.budget.name} ± 25 %"


def _against_grid(trial: TrackedTrial, facts: StudyFacts) -> Iterator[str]:
    params = trial.trial.params
    version, arch_idx = params.get(Param.GRID_VERSION), params.get(Param.ARCH_IDX)
    if version is not None and version not in GRID_VERSIONS:
        yield f"there is no grid version {version}"
    grid = facts.grid_of(trial)
    if grid is None or not isinstance(arch_idx, int):
        return
    where = f"in grid version {grid.version} for {grid.num_features} features"
    if not 0 <= arch_idx < len(grid.architectures):
        yield f"arch_idx {arch_idx} does not exist {where}"
        return
    row = grid.architectures[arch_idx]
    for param in _OF_GRID:
        if param in params and params[param] != getattr(row, param):
            there = f"{getattr(row, param)} {where} (arch_idx {arch_idx})"
            yield f"{param} is {params[param]}, and {there}"


def _against_study(trial: TrackedTrial, facts: StudyFacts) -> Iterator[str]:
    for param in _OF_STUDY:
        here, there = trial.trial.params.get(param), facts.shared(param)
        if here is not None and there is not None and str(here).upper() != there.upper():
            yield f"{param} is {here}, and {there} for the study"

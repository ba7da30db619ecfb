"""The check whether what a trial's run says agrees with itself, the grid and the study.

A param that is absent contradicts nothing: `missing_params` looks for those.
"""

from collections.abc import Iterator

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.analysis.dimensions import DIMENSIONS
from mlproject.models.arch_grid import GRID_VERSIONS, count_parameters
from mlproject.tracking.names import MLFLOW_STATUS, SIZE_METRICS, Param
from mlproject.tracking.tracked_studies import TrackedTrial

CONTRADICTION = FindingKind(
    title="contradiction", advice="look at the run: one of the two is wrong"
)

_OF_STUDY = (Param.BUDGET, Param.HORIZON, Param.TASK)
_OF_GRID = (*DIMENSIONS, Param.PARAM_COUNT)


def contradictions(study: AnalysedStudy) -> Iterator[Finding]:
    """Find runs that contradict themselves, the grid or the study, grouped by how they do."""
    groups: dict[str, list[TrackedTrial]] = {}
    for trial in study.trials:
        for text in _contradictions_of(trial, study):
            groups.setdefault(text, []).append(trial)
    for text, trials in groups.items():
        yield Finding(kind=CONTRADICTION, text=f"contradiction: {text}", runs=run_refs(trials))


def _contradictions_of(trial: TrackedTrial, study: AnalysedStudy) -> Iterator[str]:
    for param, text in trial.unreadable.items():
        yield f"{param} is {text!r}, which is no value"
    yield from _against_arithmetic(trial, study)
    yield from _against_grid(trial, study)
    yield from _against_study(trial, study)
    for metric in SIZE_METRICS:
        said, value = trial.trial.params.get(Param(metric)), trial.trial.metrics.get(metric)
        if value is not None and said is not None and str(said) != f"{value:.0f}":
            yield f"{metric} is {said} as a param and {value:.0f} as a metric"
    status = MLFLOW_STATUS[trial.trial.state]
    if trial.status != status:
        yield f"its trial_state is {trial.trial.state} and its status {trial.status}"


def _against_arithmetic(trial: TrackedTrial, study: AnalysedStudy) -> Iterator[str]:
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
    if count and study.budget is not None and not study.budget.fits(count):
        yield f"param_count {count:,} is outside the budget {study.budget.name} ± 25 %"


def _against_grid(trial: TrackedTrial, study: AnalysedStudy) -> Iterator[str]:
    params = trial.trial.params
    version, arch_idx = params.get(Param.GRID_VERSION), params.get(Param.ARCH_IDX)
    if version is not None and version not in GRID_VERSIONS:
        yield f"there is no grid version {version}"
    grid = study.grid_of(trial)
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


def _against_study(trial: TrackedTrial, study: AnalysedStudy) -> Iterator[str]:
    for param in _OF_STUDY:
        here, there = trial.trial.params.get(param), study.shared(param)
        if here is not None and there is not None and str(here).upper() != there.upper():
            yield f"{param} is {here}, and {there} for the study"

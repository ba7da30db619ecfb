"""Prove the architecture of each trial from the log itself.

`arch_idx` means nothing without the grid's version and the number of features F, which old logs
do not name. But the parameter count of a trial's line fixes F, and only the grids that explain
*every* trial of a study can have been used. What all of these grids agree on is proven; the rest
stays absent. Looking `arch_idx` up in today's grid instead gives wrong heads without a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlproject.models.arch_grid import (
    GRID_VERSIONS,
    Architecture,
    ArchitectureGrid,
    architecture_grid,
    count_parameters,
)
from mlproject.models.budget import NAMED_BUDGETS, UnknownBudget, parse_budget
from mlproject.tracking.names import SIZE_METRICS, Metric, Param
from mlproject.tracking.trial_run import architecture_params
from recovery.records import TrialRecord
from recovery.study_names import StudyFacts, facts_of

MAX_FEATURES = 10_000
_OF_ARCHITECTURE = {
    Param.ARCH_IDX: "arch_idx",
    Param.D_MODEL: "d_model",
    Param.N_LAYERS: "n_layers",
    Param.N_HEADS: "n_heads",
    Param.D_FF: "d_ff",
    Param.PARAM_COUNT: "param_count",
}

Params = Mapping[Param, int | float | str]


@dataclass(frozen=True, kw_only=True)
class ResolvedTrial:
    """A record with everything that is proven about it."""

    record: TrialRecord
    params: Params
    metrics: Mapping[Metric, float]
    n_heads_from: str | None
    """``log``, ``grid``, or None where the heads are not known."""
    why_absent: str | None
    """Why heads or feed-forward width are absent, where they are."""


@dataclass(frozen=True, kw_only=True)
class ResolvedStudy:
    """A study with the grids that it can have used."""

    study_name: str
    facts: StudyFacts
    candidates: tuple[ArchitectureGrid, ...]
    trials: tuple[ResolvedTrial, ...]

    @property
    def grid(self) -> str:
        """Such as ``v1/F20``, or ``v2/F20 v3/F20`` where both explain everything."""
        return " ".join(f"v{grid.version}/F{grid.num_features}" for grid in self.candidates)


def resolve(study_name: str, records: Sequence[TrialRecord]) -> ResolvedStudy:
    """Find the grids that explain every sound trial, and complete the trials from them."""
    facts = facts_of(study_name)
    evidence = [r.params for r in records if not r.problems and _is_evidence(r.params)]
    candidates = tuple(_candidates(facts, evidence))
    return ResolvedStudy(
        study_name=study_name,
        facts=facts,
        candidates=candidates,
        trials=tuple(_resolve(record, facts, candidates, bool(evidence)) for record in records),
    )


def possible_features(params: Params) -> set[int]:
    """The whole numbers of features with which some d_ff gives this parameter count."""
    d_model, n_layers, n = (
        int(params[p]) for p in (Param.D_MODEL, Param.N_LAYERS, Param.PARAM_COUNT)
    )
    if d_model < 1:
        return set()
    d_ff = params.get(Param.D_FF)
    found = set()
    for width in (2 * d_model, 4 * d_model) if d_ff is None else (int(d_ff),):
        first, second = (
            count_parameters(d_model=d_model, n_layers=n_layers, d_ff=width, num_features=f)
            for f in (1, 2)
        )
        steps, rest = divmod(n - first, second - first)
        if rest == 0 and 0 <= steps < MAX_FEATURES:
            found.add(steps + 1)
    return found


def _is_evidence(params: Params) -> bool:
    needed = (Param.ARCH_IDX, Param.D_MODEL, Param.N_LAYERS, Param.PARAM_COUNT)
    return all(param in params for param in needed) and bool(possible_features(params))


def _candidates(facts: StudyFacts, evidence: Sequence[Params]) -> Iterator[ArchitectureGrid]:
    if not evidence:
        return
    features = set.intersection(*(possible_features(params) for params in evidence))
    named = [parse_budget(name) for name in NAMED_BUDGETS]
    for budget in [facts.budget] if facts.budget else named:
        for version in GRID_VERSIONS:
            for num_features in sorted(features):
                try:
                    grid = architecture_grid(budget, num_features, version)
                except UnknownBudget:
                    continue
                if all(len(_matches(grid, params)) == 1 for params in evidence):
                    yield grid


def _matches(grid: ArchitectureGrid, params: Params) -> list[Architecture]:
    """The rows of a grid that have every value of an architecture that is known."""
    if params.get(Param.GRID_VERSION, grid.version) != grid.version:
        return []
    if params.get(Param.N_FEATURES, grid.num_features) != grid.num_features:
        return []
    known = [(name, params[p]) for p, name in _OF_ARCHITECTURE.items() if p in params]
    arch_idx = params.get(Param.ARCH_IDX)
    rows = grid.architectures
    if isinstance(arch_idx, int):
        rows = rows[arch_idx : arch_idx + 1] if arch_idx >= 0 else ()
    return [row for row in rows if all(getattr(row, name) == value for name, value in known)]


def _resolve(
    record: TrialRecord,
    facts: StudyFacts,
    candidates: Sequence[ArchitectureGrid],
    has_evidence: bool,
) -> ResolvedTrial:
    params = dict(record.params)
    why_absent = None
    if any(param in params for param in _OF_ARCHITECTURE):
        readings = [_reading(grid, params) for grid in candidates]
        if not candidates:
            why_absent = (
                "no known grid explains every trial of its study"
                if has_evidence
                else "no trial of its study names a whole architecture"
            )
        elif None in readings:
            why_absent = "the grid of its study does not explain this trial"
        else:
            params |= _agreed([reading for reading in readings if reading is not None])
            if Param.N_HEADS not in params or Param.D_FF not in params:
                why_absent = "several grids explain the study and disagree about this trial"
    why_absent = why_absent or "; ".join(dict.fromkeys(record.absent.values())) or None
    if facts.budget and facts.task and facts.horizon_days is not None:
        named: dict[Param, int | float | str] = {
            Param.BUDGET: facts.budget.name,
            Param.HORIZON: facts.horizon_days,
            Param.TASK: facts.task,
        }
        params = {p: v for p, v in named.items() if p not in record.absent} | params
    n_heads_from = "log" if Param.N_HEADS in record.params else "grid"
    sizes = {m: params[Param(m.value)] for m in SIZE_METRICS if Param(m.value) in params}
    return ResolvedTrial(
        record=record,
        params=params,
        metrics={**{m: float(v) for m, v in sizes.items()}, **record.metrics},
        n_heads_from=n_heads_from if Param.N_HEADS in params else None,
        why_absent=why_absent,
    )


def _reading(grid: ArchitectureGrid, params: Params) -> dict[Param, int | str] | None:
    rows = _matches(grid, params)
    if len(rows) != 1:
        return None
    values: dict[Param, int | str] = {**architecture_params(rows[0])}
    context = {Param.GRID_VERSION: grid.version, Param.N_FEATURES: grid.num_features}
    return {**values, **context, Param.BUDGET: grid.budget.name}


def _agreed(readings: Sequence[Mapping[Param, int | str]]) -> dict[Param, int | str]:
    first = readings[0]
    return {p: value for p, value in first.items() if all(r[p] == value for r in readings)}

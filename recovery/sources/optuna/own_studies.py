"""A study of this project in an Optuna storage: what proves the architectures of its trials.

Its sampler chose an architecture by two coordinates in a grid. Which grid that was stands in the
identity that the study carries; without it, or with one that contradicts something, the
coordinates prove nothing and the architecture stays absent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlproject.models.arch_grid import (
    GRID_VERSIONS,
    LOG2_N_HEADS,
    SHAPE_INDEX,
    ArchitectureGrid,
    architecture_grid,
)
from mlproject.models.budget import UnknownBudget, parse_budget
from mlproject.tracking.names import (
    ARCHITECTURE_PARAMS,
    IDENTITY_ATTR,
    IMPLIED_IDENTITY,
    METRICS_ATTR,
    PROCESS_DIED,
    SEARCHED_PARAMS,
    WHOLE_PARAMS,
    Metric,
    Param,
    Tag,
)
from mlproject.tracking.trial_run import architecture_params
from mlproject.training.epoch_metrics import restore_epochs
from mlproject.training.settings import SEARCH_SPACE_VERSIONS, searched_in
from recovery.records import TrialRecord
from recovery.sources import fingerprints
from recovery.study_names import StudyFacts, facts_of
from recovery.tags import sampled_param

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_COORDINATE_TAGS = (sampled_param(SHAPE_INDEX), sampled_param(LOG2_N_HEADS))
_NAMED = (Param.BUDGET, Param.HORIZON, Param.TASK)
"""What the name of a study tells too."""
_CONTEXT = (*_NAMED, Param.GRID_VERSION, Param.N_FEATURES, Param.SEARCH_SPACE)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a study of this project says that all its trials share."""

    grid: ArchitectureGrid | None = None
    """None where the identity is not to be trusted."""
    context: Mapping[Param, int | float | str] = field(default_factory=dict)
    """Params that every trial has, architecture known or not."""
    batch_size: int | None = None
    absent: Mapping[Param, str] = field(default_factory=dict)
    """Params that stay absent, and why."""

    def has_begun(self, params: Mapping[Param, int | float | str]) -> bool:
        """Whether a trial with these params was given all that the sampler chooses beside its
        architecture: by the study's search space, or by any where that is not known."""
        version = self.context.get(Param.SEARCH_SPACE)
        versions = [int(version)] if version in SEARCH_SPACE_VERSIONS else SEARCH_SPACE_VERSIONS
        return any(all(row.name in params for row in searched_in(each)) for each in versions)


def is_own_study(study_attrs: Mapping[str, Any], trials: Iterable["FrozenTrial"]) -> bool:
    """Whether this project made the study."""
    return IDENTITY_ATTR in study_attrs or any(SHAPE_INDEX in trial.params for trial in trials)


def read_identity(study_attrs: Mapping[str, Any], study_name: str) -> Identity:
    """The identity of a study, held against its name."""
    found = study_attrs.get(IDENTITY_ATTR)
    if not isinstance(found, Mapping):
        return Identity(absent=_absent("the storage does not say which grid its study used"))
    found = {**IMPLIED_IDENTITY, **found}
    for param in (*_CONTEXT, Param.BATCH_SIZE):
        value = found.get(param)
        if not isinstance(value, int if param in WHOLE_PARAMS else str) or isinstance(value, bool):
            return Identity(absent=_absent(f"the identity of its study has no {param}"))
    contradicted = _contradicted(found, facts_of(study_name))
    if contradicted:
        text = ", ".join(f"{p} is {found[p]} there and {v} here" for p, v in contradicted.items())
        reason = f"the identity of its study contradicts its name ({text})"
        return Identity(absent=_absent(reason, *contradicted))
    try:
        grid = _grid(found)
    except (UnknownBudget, ValueError) as error:
        return Identity(absent=_absent(f"the identity of its study names no grid ({error})"))
    return Identity(
        grid=grid,
        context={param: found[param] for param in _CONTEXT},
        batch_size=found[Param.BATCH_SIZE],
    )


def own_record(record: TrialRecord, trial: "FrozenTrial", identity: Identity) -> TrialRecord:
    """What the record of a trial of this project holds beside what any storage tells."""
    params = dict(record.params)
    tags = dict(record.tags)
    absent = dict(identity.absent)
    problems = list(record.problems)
    proven = dict(identity.context)
    if not identity.has_begun(params):
        # It never began, so nothing of this was used; the live run has none of it either.
        tags |= {sampled_param(p): str(params.pop(p)) for p in SEARCHED_PARAMS if p in params}
    elif identity.batch_size is not None:
        proven[Param.BATCH_SIZE] = identity.batch_size
    if identity.grid is not None and {SHAPE_INDEX, LOG2_N_HEADS} <= trial.params.keys():
        try:
            proven |= _architecture(trial, identity.grid)
            tags = {k: v for k, v in tags.items() if k not in _COORDINATE_TAGS}
        except LookupError:
            absent |= _absent("its coordinates are not those of the grid that its study names")
            proven = {p: value for p, value in proven.items() if p not in absent}
    problems += [
        f"{p} is {value} by its study and {params[p]} by its own attributes"
        for p, value in proven.items()
        if params.get(p, value) != value
    ]
    metrics = {**record.metrics, **_metrics(trial.user_attrs)}
    if any(metrics[m] != value for m, value in record.metrics.items()):
        problems.append(f"its value is {trial.value}, which its metrics contradict")
    is_silent = record.failure_reason is not None and Tag.FAILURE_REASON not in trial.user_attrs
    return replace(
        record,
        params=params | proven,
        absent=absent,
        metrics=metrics,
        epochs=restore_epochs(trial.user_attrs, trial.intermediate_values),
        tags=tags,
        problems=tuple(problems),
        failure_reason=(
            PROCESS_DIED if is_silent and not record.unfinished else record.failure_reason
        ),
        start_fingerprint=fingerprints.of_own_start(
            record.study_name, record.trial_number, record.started_ms
        ),
        outcome_fingerprint=None,
    )


def _metrics(attrs: Mapping[str, Any]) -> dict[Metric, float]:
    found = attrs.get(METRICS_ATTR)
    known = found if isinstance(found, Mapping) else {}
    return {m: known[m] for m in Metric if isinstance(known.get(m), float)}


def _architecture(trial: "FrozenTrial", grid: ArchitectureGrid) -> Mapping[Param, int]:
    """Decode the coordinates; LookupError where grid and trial do not belong together."""
    from optuna.distributions import IntDistribution

    for name, (lowest, highest) in grid.coordinate_ranges.items():
        # How far the sampler might go says how large the grid was that it searched.
        if trial.distributions[name] != IntDistribution(lowest, highest):
            raise LookupError(name)
    found = grid.at(shape_index=trial.params[SHAPE_INDEX], log2_n_heads=trial.params[LOG2_N_HEADS])
    return architecture_params(found)


def _grid(identity: Mapping[str, Any]) -> ArchitectureGrid:
    """Raises UnknownBudget or ValueError where no such grid exists."""
    budget = parse_budget(identity[Param.BUDGET])
    version, n_features = identity[Param.GRID_VERSION], identity[Param.N_FEATURES]
    if version not in GRID_VERSIONS:
        raise ValueError(f"version {version}")
    return architecture_grid(budget, n_features, version)


def _contradicted(identity: Mapping[str, Any], facts: StudyFacts) -> dict[Param, object]:
    """What the name of the study says otherwise, in the words of the name."""
    named = (facts.budget.name if facts.budget else None, facts.horizon_days, facts.task)
    return {
        param: value
        for param, value in zip(_NAMED, named, strict=True)
        if value is not None and identity[param] != value
    }


def _absent(reason: str, *others: Param) -> dict[Param, str]:
    return dict.fromkeys((*ARCHITECTURE_PARAMS, Param.BATCH_SIZE, *others), reason)

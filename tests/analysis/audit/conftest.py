"""Studies as they are read from MLflow, built in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.models.arch_grid import Architecture, ArchitectureGrid
from mlproject.tracking.names import MLFLOW_STATUS, Metric, Param, Tag, TrialState
from mlproject.tracking.tracked_studies import TrackedStudy, TrackedTrial
from mlproject.tracking.trial_run import TrialRun

STARTED_MS = 1_763_000_000_000
SETTINGS: dict[Param, int | float | str] = {
    Param.LEARNING_RATE: 3e-4,
    Param.EPOCHS: 75,
    Param.BATCH_SIZE: 256,
    Param.WEIGHT_DECAY: 1e-4,
    Param.WARMUP_STEPS: 100,
    Param.DROPOUT: 0.2,
}


def trial_of(
    architecture: Architecture,
    grid: ArchitectureGrid,
    number: int,
    *,
    state: TrialState = TrialState.COMPLETE,
    loss: float = 0.5,
    params: Mapping[Param, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> TrialRun:
    """A trial of this architecture; a param given as None is absent."""
    found: dict[Param, Any] = {
        Param.ARCH_IDX: architecture.arch_idx,
        Param.D_MODEL: architecture.d_model,
        Param.N_LAYERS: architecture.n_layers,
        Param.N_HEADS: architecture.n_heads,
        Param.D_FF: architecture.d_ff,
        Param.PARAM_COUNT: architecture.param_count,
        Param.GRID_VERSION: grid.version,
        Param.N_FEATURES: grid.num_features,
        Param.BUDGET: grid.budget.name,
        Param.HORIZON: 3,
        Param.TASK: "threshold_1pct",
        **SETTINGS,
        # No two trials of a study are near-duplicates unless a test wants them so.
        Param.LEARNING_RATE: 1e-4 * 1.025**number,
        **(params or {}),
    }
    started = STARTED_MS + number * 100_000
    return TrialRun(
        trial_number=number,
        state=state,
        started_ms=started,
        ended_ms=None if state is TrialState.RUNNING else started + 60_000,
        params={k: v for k, v in found.items() if v is not None},
        metrics={Metric.BEST_VAL_LOSS: loss} if state is TrialState.COMPLETE else {},
        tags={Tag.STUDY_NAME.value: "s", **(tags or {})},
    )


def tracked(trial: TrialRun) -> TrackedTrial:
    return TrackedTrial(
        run_id=f"run{trial.trial_number}",
        status=MLFLOW_STATUS[trial.state],
        trial=trial,
        unreadable={},
    )


def study_of(
    trials: Sequence[TrialRun | TrackedTrial], *, planned: int = 0, **changes: Any
) -> AnalysedStudy:
    """A study as it is read; planned as many as finished unless said."""
    values: dict[str, Any] = {
        "study_name": "phase6a_2M_h3_threshold_1pct",
        "run_id": "parent",
        "status": "FINISHED",
        "params": {},
        "metrics": {},
        "tags": {},
        "trials": tuple(t if isinstance(t, TrackedTrial) else tracked(t) for t in trials),
    }
    study = AnalysedStudy(TrackedStudy(**{**values, **changes}), planned)
    return study if planned else AnalysedStudy(study.tracked, max(1, len(study.planned_finished)))

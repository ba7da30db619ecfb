"""Trials for property tests: of every state, with and without what a trial may lack."""

from hypothesis import strategies as st

from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import (
    REAL_PARAMS,
    SEARCHED_PARAMS,
    SIZE_METRICS,
    Metric,
    Origin,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.trial_run import TrialRun, architecture_params
from mlproject.training.epoch_metrics import EpochMetrics

STUDY = "phase6a_20M_h5_threshold_1pct"
GRID = architecture_grid(parse_budget("20M"), 25)
CONTEXT = {
    Param.GRID_VERSION: GRID.version,
    Param.N_FEATURES: GRID.num_features,
    Param.SEARCH_SPACE: 1,
    Param.BUDGET: "20M",
    Param.HORIZON: 5,
    Param.TASK: "threshold_1pct",
}
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)
RATES = st.floats(1e-6, 0.5)
REASONS = st.text(max_size=80)
MOMENTS = st.integers(1_600_000_000_000, 1_900_000_000_000)
OTHER_METRICS = [m for m in Metric if m not in (*SIZE_METRICS, "train_loss", "val_loss")]


@st.composite
def trial_runs(draw: st.DrawFn, number: int) -> TrialRun:
    has_architecture = draw(st.integers(0, 9)) > 0
    began = has_architecture and draw(st.integers(0, 9)) > 0
    architecture = (
        architecture_params(draw(st.sampled_from(GRID.architectures))) if has_architecture else {}
    )
    training = {
        param: draw(RATES if param in REAL_PARAMS else st.integers(0, 4096))
        for param in (*SEARCHED_PARAMS, Param.BATCH_SIZE)
    }
    state = draw(st.sampled_from([s for s in TrialState if s is not TrialState.RUNNING]))
    state = state if began else TrialState.FAIL
    sizes: dict[Metric, float] = {Metric.HORIZON: 5}
    if has_architecture:
        sizes |= {
            Metric(p.value): float(architecture[p]) for p in architecture if p in SIZE_METRICS
        }
    scores = draw(st.dictionaries(st.sampled_from(OTHER_METRICS), FLOATS)) if began else {}
    if state is TrialState.COMPLETE:
        scores[Metric.BEST_VAL_LOSS] = draw(st.floats(0, 5))
    losses = draw(st.lists(st.tuples(st.none() | FLOATS, FLOATS), max_size=4 if began else 0))
    started = draw(MOMENTS)
    tags = {Tag.STUDY_NAME.value: STUDY, Tag.ORIGIN.value: Origin.LIVE.value}
    if draw(st.booleans()):
        tags[Tag.FORCED_EXTREME.value] = draw(
            st.sampled_from(["min_d_model", "max_d_model+min_n_layers"])
        )
    if draw(st.booleans()):
        tags[Tag.SUPPLEMENT.value] = "n_layers=64+max_n_layers"
    if draw(st.booleans()):
        tags[Tag.RETRY_OF.value] = str(draw(st.integers(0, 500)))
    if state is TrialState.PRUNED and draw(st.booleans()):
        tags[Tag.DIVERGED.value] = "true"
    if state is TrialState.FAIL:
        tags[Tag.FAILURE_REASON.value] = draw(REASONS)
    return TrialRun(
        trial_number=number,
        state=state,
        started_ms=started,
        ended_ms=started + draw(st.integers(0, 10**8)),
        params=CONTEXT | architecture | (training if began else {}),
        metrics=sizes | scores,
        epochs=tuple(
            EpochMetrics(epoch=epoch, train_loss=train, val_loss=val)
            for epoch, (train, val) in enumerate(losses, 1)
        ),
        tags=tags,
    )


@st.composite
def studies(draw: st.DrawFn) -> list[TrialRun]:
    return [draw(trial_runs(number)) for number in range(draw(st.integers(1, 6)))]

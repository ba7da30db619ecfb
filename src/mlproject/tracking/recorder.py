"""The run of a trial, from its start to its end, in a small and constant number of calls.

The same three functions serve a live trial, the repair of runs that a killed process or an outage
left behind, and the backfill of old logs: each is given the whole `TrialRun` and may be repeated.
"""

import time
from collections.abc import Iterable, Sequence

from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param as MlflowParam
from mlflow.entities import Run, RunTag

from mlproject.tracking.names import (
    EPOCH_METRICS,
    MLFLOW_STATUS,
    PARENT_RUN_ID_TAG,
    Metric,
    Tag,
    TrialState,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import child_runs
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_losses import EpochLosses


def create_trial_run(store: TrackingStore, parent_run_id: str, trial: TrialRun) -> str:
    """Create the nested run of a trial and return its id: one call.

    Whatever happens next, the run can be found again by its parent and `trial_number`.
    """
    run = store.client.create_run(
        store.experiment_id,
        start_time=trial.started_ms,
        run_name=f"trial {trial.trial_number}",
        tags={PARENT_RUN_ID_TAG: parent_run_id, **_tags(trial)},
    )
    return str(run.info.run_id)


def log_params(store: TrackingStore, run_id: str, trial: TrialRun) -> None:
    """Log the params of a trial that has begun: one call."""
    store.client.log_batch(run_id, params=_params(trial))


def log_epochs(
    store: TrackingStore,
    run_id: str,
    epochs: Sequence[EpochLosses],
    timestamp_ms: int | None = None,
) -> None:
    """Log the losses of some epochs: one call."""
    now = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
    store.client.log_batch(run_id, metrics=_epoch_metrics(epochs, now))


def close_trial_run(store: TrackingStore, run_id: str, trial: TrialRun) -> None:
    """Log all that is known of a trial that ended, then end its run: two calls.

    The losses per epoch are not logged here: see `log_epochs`.
    """
    assert trial.ended_ms is not None
    store.client.log_batch(
        run_id,
        params=_params(trial),
        metrics=[MlflowMetric(str(k), v, trial.ended_ms, 0) for k, v in trial.metrics.items()],
        tags=[RunTag(key, value) for key, value in _tags(trial).items()],
    )
    store.client.set_terminated(run_id, MLFLOW_STATUS[trial.state], trial.ended_ms)


def bring_up_to_date(store: TrackingStore, parent_run_id: str, trials: Iterable[TrialRun]) -> int:
    """Make MLflow show `trials` as they are; return how many runs had to be written.

    Idempotent: a run that already shows its trial's final state is left alone, an unfinished one
    is completed, a missing one is created. Trials in progress are left to their process.
    """
    existing: dict[str, Run] = {}
    for run in child_runs(store, parent_run_id):
        number = run.data.tags.get(Tag.TRIAL_NUMBER)
        if number is not None:
            existing[number] = run
    written = 0
    for trial in trials:
        if trial.state is TrialState.RUNNING:
            continue
        found = existing.get(str(trial.trial_number))
        if found is not None and _shows(found, trial):
            continue
        if found is None:
            run_id = create_trial_run(store, parent_run_id, trial)
            logged_epoch = 0
        else:
            run_id = str(found.info.run_id)
            history = store.client.get_metric_history(run_id, Metric.VAL_LOSS)
            logged_epoch = max((point.step for point in history), default=0)
        missing = [epoch for epoch in trial.epochs if epoch.epoch > logged_epoch]
        log_epochs(store, run_id, missing, trial.ended_ms)
        close_trial_run(store, run_id, trial)
        written += 1
    return written


def _shows(run: Run, trial: TrialRun) -> bool:
    return (
        run.info.status == MLFLOW_STATUS[trial.state]
        and run.data.tags.get(Tag.TRIAL_STATE) == trial.state
    )


def _tags(trial: TrialRun) -> dict[str, str]:
    return {
        **{str(key): value for key, value in trial.tags.items()},
        Tag.TRIAL_NUMBER.value: str(trial.trial_number),
        Tag.TRIAL_STATE.value: str(trial.state),
    }


def _params(trial: TrialRun) -> list[MlflowParam]:
    return [MlflowParam(str(key), str(value)) for key, value in trial.params.items()]


def _epoch_metrics(epochs: Sequence[EpochLosses], timestamp_ms: int) -> list[MlflowMetric]:
    return [
        MlflowMetric(str(name), getattr(epoch, name), timestamp_ms, epoch.epoch)
        for epoch in epochs
        for name in EPOCH_METRICS
    ]

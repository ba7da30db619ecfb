"""The run of a trial, from its start to its end, in a small and constant number of calls.

The same three functions serve a live trial, the repair of runs that a killed process or an outage
left behind, and the backfill of old logs: each is given the whole `TrialRun` and may be repeated.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param as MlflowParam
from mlflow.entities import Run, RunTag

from mlproject.tracking.known_runs import StaleTrial, known_runs
from mlproject.tracking.names import (
    EPOCH_METRICS,
    MLFLOW_STATUS,
    PARENT_RUN_ID_TAG,
    TRIAL_IDENTITY_TAG,
    Metric,
    Tag,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics


def create_trial_run(store: TrackingStore, parent_run_id: str, trial: TrialRun) -> str:
    """Create the nested run of a trial and return its id: one call.

    Whatever happens next, the run can be found again by its `trial_identity`.
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
    epochs: Sequence[EpochMetrics],
    timestamps_ms: Sequence[int] | None = None,
) -> None:
    """Log the losses of some epochs, each with its time, by default now: one call.

    Repeated with the same times, it adds nothing: MLflow knows the points again.
    """
    if timestamps_ms is None:
        timestamps_ms = [int(time.time() * 1000)] * len(epochs)
    store.client.log_batch(run_id, metrics=_epoch_metrics(epochs, timestamps_ms))


def close_trial_run(store: TrackingStore, run_id: str, trial: TrialRun) -> None:
    """Log all that is known of a trial that ended, then end its run: two calls.

    The losses per epoch are not logged here: see `log_epochs`.
    """
    assert trial.ended_ms is not None
    store.client.log_batch(
        run_id,
        params=_params(trial),
        metrics=_metrics(trial, trial.ended_ms),
        tags=[RunTag(key, value) for key, value in _tags(trial).items()],
    )
    store.client.set_terminated(run_id, MLFLOW_STATUS[trial.state], trial.ended_ms)


def set_identity(store: TrackingStore, run_id: str, identity: str) -> None:
    """Tag a run with the trial it is of: those of earlier versions have no such tag."""
    store.client.set_tag(run_id, TRIAL_IDENTITY_TAG, identity)


def write_trial(store: TrackingStore, parent_run_id: str, stale: StaleTrial) -> str:
    """Make MLflow show a trial that ended, and return its run's id; repeating it is safe."""
    if stale.run is None:
        return _write_whole_run(store, parent_run_id, stale.trial)
    return _complete_run(store, stale.run, stale.trial)


def bring_up_to_date(
    store: TrackingStore, parent_run_id: str, trials: Iterable[TrialRun], *, threads: int = 1
) -> int:
    """Make MLflow show `trials` as they are; return how many runs had to be written.

    Idempotent: a run that already shows its trial's final state is left alone, an unfinished one
    is completed, a missing one is created. Trials in progress are left to their process. Several
    `threads` are worth it where the store is far away.
    """
    trials = list(trials)
    known = known_runs(store, parent_run_id)
    stale = known.stale(trials)
    for run_id, identity in known.without_identity(trials):
        set_identity(store, run_id, identity)
    if threads == 1 or len(stale) < 2:
        for each in stale:
            write_trial(store, parent_run_id, each)
    else:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(write_trial, store, parent_run_id, each) for each in stale]
            try:
                for future in futures:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
    return len(stale)


def _write_whole_run(store: TrackingStore, parent_run_id: str, trial: TrialRun) -> str:
    """Write the run of a trial that ended: three calls, whatever it holds."""
    assert trial.ended_ms is not None
    run_id = create_trial_run(store, parent_run_id, trial)
    curves = _epoch_metrics(trial.epochs, [trial.ended_ms] * len(trial.epochs))
    metrics = _metrics(trial, trial.ended_ms) + curves
    store.client.log_batch(run_id, params=_params(trial), metrics=metrics)
    store.client.set_terminated(run_id, MLFLOW_STATUS[trial.state], trial.ended_ms)
    return run_id


def _complete_run(store: TrackingStore, run: Run, trial: TrialRun) -> str:
    assert trial.ended_ms is not None
    run_id = str(run.info.run_id)
    if trial.epochs:
        history = store.client.get_metric_history(run_id, Metric.VAL_LOSS)
        logged_epoch = max((point.step for point in history), default=0)
        missing = [epoch for epoch in trial.epochs if epoch.epoch > logged_epoch]
        if missing:
            log_epochs(store, run_id, missing, [trial.ended_ms] * len(missing))
    close_trial_run(store, run_id, trial)
    if Tag.FAILURE_REASON in run.data.tags and Tag.FAILURE_REASON not in trial.tags:
        store.client.delete_tag(run_id, Tag.FAILURE_REASON)
    return run_id


def _tags(trial: TrialRun) -> dict[str, str]:
    identity = trial.identity
    return {
        **{str(key): value for key, value in trial.tags.items()},
        **({TRIAL_IDENTITY_TAG: identity} if identity else {}),
        Tag.TRIAL_NUMBER.value: str(trial.trial_number),
        Tag.TRIAL_STATE.value: str(trial.state),
    }


def _params(trial: TrialRun) -> list[MlflowParam]:
    return [MlflowParam(str(key), str(value)) for key, value in trial.params.items()]


def _metrics(trial: TrialRun, timestamp_ms: int) -> list[MlflowMetric]:
    return [MlflowMetric(str(k), v, timestamp_ms, 0) for k, v in trial.metrics.items()]


def _epoch_metrics(
    epochs: Sequence[EpochMetrics], timestamps_ms: Sequence[int]
) -> list[MlflowMetric]:
    return [
        MlflowMetric(str(name), value, timestamp_ms, epoch.epoch)
        for epoch, timestamp_ms in zip(epochs, timestamps_ms, strict=True)
        for name in EPOCH_METRICS
        if (value := getattr(epoch, name)) is not None
    ]

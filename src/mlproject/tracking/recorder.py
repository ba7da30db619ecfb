"""The run of a trial, from its start to its end, in a small and constant number of calls.

The same three functions serve a live trial, the repair of runs that a killed process or an outage
left behind, and the backfill of old logs: each is given the whole `TrialRun` and may be repeated.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param as MlflowParam
from mlflow.entities import Run, RunTag

from mlproject.tracking.names import (
    EPOCH_METRICS,
    FINGERPRINT_TAGS,
    MLFLOW_STATUS,
    PARENT_RUN_ID_TAG,
    Metric,
    Origin,
    Tag,
    TrialState,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import child_runs
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_losses import EpochLosses

COMPARED_CHARACTERS = 5000
"""MLflow cuts long tags off."""


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


@dataclass(frozen=True, kw_only=True)
class TrialBehind:
    """A trial that ended and that MLflow does not show as it is."""

    trial: TrialRun
    run: Run | None
    """Its run, as far as it came; None where there is none."""


class KnownRuns:
    """The runs under a parent, found again by the trials they stand for.

    A trial is known by its number and the time it started, or by a fingerprint.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self._by_key: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in runs:
            for key in _keys_of_run(run):
                self._by_key[key].append(run)

    def of(self, trial: TrialRun) -> Run | None:
        """The run of a trial, the one that shows most should there be several."""
        found = self._all_of(trial)
        whole = (run for run in found if _shows(run, trial))
        return next(whole, found[0] if found else None)

    def doubles(self, trial: TrialRun, kept: str) -> list[str]:
        """Ids of the runs of a trial beside the one that is `kept`: two were created where the
        answer to the first was lost on its way. None but live runs: whose hand another run is of,
        nobody knows."""
        key = (str(trial.trial_number), str(trial.started_ms))
        return [
            str(run.info.run_id)
            for run in self._by_key.get(key, ())
            if run.info.run_id != kept and run.data.tags.get(Tag.ORIGIN) == Origin.LIVE
        ]

    def behind(self, trials: Iterable[TrialRun]) -> list[TrialBehind]:
        """Those of the trials that ended and are not shown as they are, in the same order."""
        found = ((trial, self.of(trial)) for trial in trials)
        return [
            TrialBehind(trial=trial, run=run)
            for trial, run in found
            if trial.state is not TrialState.RUNNING and not (run and _shows(run, trial))
        ]

    def _all_of(self, trial: TrialRun) -> list[Run]:
        return [run for key in _keys_of_trial(trial) for run in self._by_key.get(key, ())]


def known_runs(store: TrackingStore, parent_run_id: str) -> KnownRuns:
    """What there is under the parent: one call per thousand runs."""
    return KnownRuns(child_runs(store, parent_run_id))


def write_trial(store: TrackingStore, parent_run_id: str, behind: TrialBehind) -> str:
    """Make MLflow show a trial that ended, and return its run's id; it may be repeated."""
    if behind.run is None:
        return _write_whole_run(store, parent_run_id, behind.trial)
    return _complete_run(store, behind.run, behind.trial)


def bring_up_to_date(
    store: TrackingStore, parent_run_id: str, trials: Iterable[TrialRun], *, threads: int = 1
) -> int:
    """Make MLflow show `trials` as they are; return how many runs had to be written.

    Idempotent: a run that already shows its trial's final state is left alone, an unfinished one
    is completed, a missing one is created. Trials in progress are left to their process. Several
    `threads` are worth it where the store is far away.
    """
    behind = known_runs(store, parent_run_id).behind(trials)
    if threads == 1 or len(behind) < 2:
        for item in behind:
            write_trial(store, parent_run_id, item)
    else:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(write_trial, store, parent_run_id, item) for item in behind]
            try:
                for future in futures:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
    return len(behind)


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


def _keys_of_run(run: Run) -> list[tuple[str, str]]:
    tags = run.data.tags
    keys = [(tag, tags[tag]) for tag in FINGERPRINT_TAGS if tag in tags]
    number = tags.get(Tag.TRIAL_NUMBER)
    return keys if number is None else [*keys, (number, str(run.info.start_time))]


def _keys_of_trial(trial: TrialRun) -> list[tuple[str, str]]:
    return [*trial.known_by, (str(trial.trial_number), str(trial.started_ms))]


def _shows(run: Run, trial: TrialRun) -> bool:
    tags = run.data.tags
    if trial.unfinished:
        ours = any(tag in tags for tag in FINGERPRINT_TAGS)
        return run.info.status != "RUNNING" or not ours
    reasons = (tags.get(Tag.FAILURE_REASON), trial.tags.get(Tag.FAILURE_REASON))
    return (
        run.info.status == MLFLOW_STATUS[trial.state]
        and tags.get(Tag.TRIAL_STATE) == trial.state
        and len({(reason or "")[:COMPARED_CHARACTERS] for reason in reasons}) == 1
    )


def _tags(trial: TrialRun) -> dict[str, str]:
    return {
        **{str(key): value for key, value in trial.tags.items()},
        Tag.TRIAL_NUMBER.value: str(trial.trial_number),
        Tag.TRIAL_STATE.value: str(trial.state),
    }


def _params(trial: TrialRun) -> list[MlflowParam]:
    return [MlflowParam(str(key), str(value)) for key, value in trial.params.items()]


def _metrics(trial: TrialRun, timestamp_ms: int) -> list[MlflowMetric]:
    return [MlflowMetric(str(k), v, timestamp_ms, 0) for k, v in trial.metrics.items()]


def _epoch_metrics(
    epochs: Sequence[EpochLosses], timestamps_ms: Sequence[int]
) -> list[MlflowMetric]:
    return [
        MlflowMetric(str(name), value, timestamp_ms, epoch.epoch)
        for epoch, timestamp_ms in zip(epochs, timestamps_ms, strict=True)
        for name in EPOCH_METRICS
        if (value := getattr(epoch, name)) is not None
    ]

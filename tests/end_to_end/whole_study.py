"""When a study is whole: Optuna's storage, the trial log and MLflow tell the same story."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from recovery.resolve import resolve
from recovery.sources.collect import Collector
from recovery.write.trial_runs import trial_run

from mlproject.search.trial_queue import MAX_ATTEMPTS
from mlproject.tracking.names import (
    EPOCH_METRICS,
    LOGITS_ATTR,
    MLFLOW_STATUS,
    PARENT_RUN_ID_TAG,
    PROCESS_DIED,
    TRIAL_IDENTITY_TAG,
    VALIDATION_WINDOWS_FILE,
    VALIDATION_WINDOWS_TAG,
    Metric,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.trial_run import TrialRun

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, kw_only=True)
class Told:
    """All that a source tells of one trial."""

    state: TrialState
    started_ms: int
    ended_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Mapping[str, list[tuple[int, float]]]
    tags: Mapping[str, str]

    def of_any_machine(self) -> tuple[Any, ...]:
        """What it has in common with the same trial of a study with the same seed, elsewhere."""
        measured = (Metric.DURATION_SECONDS, Metric.SAMPLES_PER_SECOND, Metric.PEAK_MEMORY_BYTES)
        metrics = {name: value for name, value in self.metrics.items() if name not in measured}
        tags = {name: value for name, value in self.tags.items() if name != Tag.STUDY_NAME}
        return (self.state, self.params, metrics, self.curves, tags)


def check_whole(
    directory: Path, n_trials: int, *, mlflow_uri: str | None = None, experiment: str = "phase6a"
) -> dict[int, Told]:
    """AssertionError unless the one study under `directory` is whole; what is told of its trials.

    Every trial is there once, none is in progress, what died was tried again, and the three
    sources agree on every state, time, param, metric, curve and tag.
    """
    (log,) = (directory / "trial_logs").glob("*.log")
    storage = f"sqlite:///{directory / 'optuna.db'}"
    in_mlflow = told_by_mlflow(mlflow_uri or f"sqlite:///{directory / 'mlflow.db'}", experiment)
    in_log, in_storage = told_by_log(log), told_by_storage(storage)
    assert sorted(in_storage) == list(range(len(in_storage)))
    assert in_log.keys() == in_mlflow.keys() == in_storage.keys()
    for number, told in in_log.items():
        assert in_mlflow[number] == told, f"trial {number} in MLflow and in the trial log"
        assert in_storage[number] == told, f"trial {number} in storage and trial log"
    states = Counter(told.state for told in in_storage.values())
    assert sum(states[state] for state in FINISHED) == n_trials, states
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.n_trials == len(in_storage), "a trial is in progress, or waits"
    assert_tried_again(in_storage)
    assert_windows_kept(mlflow_uri or f"sqlite:///{directory / 'mlflow.db'}", experiment, storage)
    return in_log


def assert_windows_kept(uri: str, experiment: str, storage: str) -> None:
    """AssertionError unless the run of each trial whose windows the storage keeps has their file,
    and no other run has."""
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    kept = {str(trial.number) for trial in trials if LOGITS_ATTR in trial.user_attrs}
    assert kept or not any(trial.state is optuna.trial.TrialState.COMPLETE for trial in trials)
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], f"tags.{Tag.TRIAL_NUMBER} LIKE '%'")
    for run in runs:
        files = [each.path for each in client.list_artifacts(run.info.run_id)]
        has_file = run.data.tags[Tag.TRIAL_NUMBER] in kept
        assert files == [VALIDATION_WINDOWS_FILE] * has_file, (run.info.run_name, files)
        assert (VALIDATION_WINDOWS_TAG in run.data.tags) is has_file


def assert_tried_again(trials: Mapping[int, Told]) -> None:
    """AssertionError unless each trial whose process died was tried again, once, in its place."""
    retries = Counter(
        int(told.tags[Tag.RETRY_OF]) for told in trials.values() if Tag.RETRY_OF in told.tags
    )
    assert all(count == 1 for count in retries.values()), retries
    for number, told in trials.items():
        was_chosen = {Param.ARCH_IDX, Tag.RETRY_OF, Tag.FORCED_EXTREME} & {*told.params, *told.tags}
        died = told.tags.get(Tag.FAILURE_REASON) == PROCESS_DIED and was_chosen
        if died and _attempts(trials, number) < MAX_ATTEMPTS:
            assert number in retries, f"trial {number} died and was not tried again"
        if number in retries:
            (retry,) = [t for t in trials.values() if t.tags.get(Tag.RETRY_OF) == str(number)]
            # A retry that died in its turn may not have come to take all its params.
            both = told.params.keys() & retry.params.keys()
            assert {k: told.params[k] for k in both} == {k: retry.params[k] for k in both}
            assert both == told.params.keys() or retry.state is TrialState.FAIL
    labels = Counter(
        told.tags[Tag.FORCED_EXTREME]
        for told in trials.values()
        if told.state in FINISHED and Tag.FORCED_EXTREME in told.tags
    )
    assert all(count == 1 for count in labels.values()), labels


def _attempts(trials: Mapping[int, Told], number: int) -> int:
    """How often a trial was tried, this being the last time."""
    earlier = trials[number].tags.get(Tag.RETRY_OF)
    return 1 if earlier is None else 1 + _attempts(trials, int(earlier))


def told_by_log(path: Path) -> dict[int, Told]:
    """What recovery reads in a trial log; every line of it is accounted for."""
    collector = Collector(zone=ZoneInfo("UTC"))
    collector.add_file(str(path))
    (accounting,) = collector.accounting
    assert accounting.lines == accounting.accounted
    assert not accounting.rejected, accounting.rejected
    return _told_by_recovery(collector)


def told_by_storage(url: str, *, in_progress: bool = False) -> dict[int, Told]:
    """What recovery reads in Optuna's storage; of a study `in_progress`, what has ended."""
    collector = Collector(zone=ZoneInfo("UTC"))
    collector.add_storage(url)
    return _told_by_recovery(collector, in_progress=in_progress)


def told_by_mlflow(
    uri: str, experiment: str = "phase6a", *, in_progress: bool = False
) -> dict[int, Told]:
    """What MLflow shows under the study's one parent run.

    Of a study `in_progress`, the trials that have ended; else no run is in progress.
    """
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], max_results=5000)
    (parent,) = [run for run in runs if PARENT_RUN_ID_TAG not in run.data.tags]
    assert parent.info.status == ("RUNNING" if in_progress else "FINISHED")
    children = [run for run in runs if run is not parent]
    if in_progress:
        children = [run for run in children if run.info.status != "RUNNING"]
    assert all(run.data.tags[PARENT_RUN_ID_TAG] == parent.info.run_id for run in children)
    numbers = Counter(int(run.data.tags[Tag.TRIAL_NUMBER]) for run in children)
    assert all(count == 1 for count in numbers.values()), numbers
    return {int(run.data.tags[Tag.TRIAL_NUMBER]): _told_by_run(client, run) for run in children}


def _told_by_run(client: MlflowClient, run: Run) -> Told:
    tags = _own_tags(run.data.tags)
    state = TrialState(tags[Tag.TRIAL_STATE])
    assert run.info.status == MLFLOW_STATUS[state]
    curves = {
        str(name): sorted(
            (point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)
        )
        for name in EPOCH_METRICS
    }
    metrics = {k: v for k, v in run.data.metrics.items() if k not in EPOCH_METRICS}
    return _told(
        state, run.info.start_time, run.info.end_time, run.data.params, metrics, curves, tags
    )


def _told_by_recovery(collector: Collector, *, in_progress: bool = False) -> dict[int, Told]:
    ((name, records),) = collector.collection().studies.items()
    assert not any(record.problems for record in records), [r.problems for r in records]
    study = resolve(name, records)
    runs = [trial_run(study, trial, ()) for trial in study.trials]
    if in_progress:
        runs = [run for run in runs if not run.unfinished]
    assert not any(run.unfinished for run in runs)
    return {run.trial_number: _told_by_trial(run) for run in runs}


def _told_by_trial(trial: TrialRun) -> Told:
    curves = {
        str(name): [
            (losses.epoch, value)
            for losses in trial.epochs
            if (value := getattr(losses, name)) is not None
        ]
        for name in EPOCH_METRICS
    }
    tags = _own_tags(trial.tags) | {
        Tag.TRIAL_NUMBER.value: str(trial.trial_number),
        Tag.TRIAL_STATE.value: str(trial.state),
        TRIAL_IDENTITY_TAG: str(trial.identity),
    }
    params = {str(name): str(value) for name, value in trial.params.items()}
    metrics = {str(name): float(value) for name, value in trial.metrics.items()}
    assert trial.ended_ms is not None
    return _told(trial.state, trial.started_ms, trial.ended_ms, params, metrics, curves, tags)


def _told(
    state: TrialState,
    started_ms: int,
    ended_ms: int,
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    curves: Mapping[str, list[tuple[int, float]]],
    tags: Mapping[str, str],
) -> Told:
    return Told(
        state=state,
        started_ms=started_ms,
        ended_ms=ended_ms,
        params=dict(params),
        metrics=dict(metrics),
        curves=dict(curves),
        tags=dict(tags),
    )


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    others: Iterable[str] = ("mlflow.", "recovery.")
    return {
        str(name): value
        for name, value in tags.items()
        if name not in (Tag.ORIGIN, VALIDATION_WINDOWS_TAG) and not name.startswith(tuple(others))
    }

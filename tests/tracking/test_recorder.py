"""The run of a trial in a real MLflow store: exact, repeatable, few calls."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking import recorder
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.store import TrackingStore, connect, open_experiment
from mlproject.tracking.study_run import child_runs, open_study_run
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics

STARTED = TrialRun(
    trial_number=7,
    state=TrialState.RUNNING,
    started_ms=1_763_000_000_123,
    params={Param.D_MODEL: 64, Param.LEARNING_RATE: 0.00016004, Param.BUDGET: "2M"},
    tags={Tag.STUDY_NAME: "study", Tag.FORCED_EXTREME: "min_d_model"},
)
ENDED = replace(
    STARTED,
    state=TrialState.COMPLETE,
    ended_ms=1_763_000_060_456,
    metrics={Metric.BEST_VAL_LOSS: 0.1 + 0.2, Metric.D_MODEL: 64},
    epochs=tuple(
        EpochMetrics(epoch=epoch, train_loss=1 / epoch, val_loss=2 / epoch) for epoch in (1, 2, 3)
    ),
)


@pytest.fixture
def store(work_directory: Path) -> TrackingStore:
    return open_experiment(connect("somewhere"))


@pytest.fixture
def parent(store: TrackingStore) -> str:
    return open_study_run(store, "study")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the calls to MLflow's client by name."""
    counted: Counter[str] = Counter()
    for name in ("create_run", "log_batch", "set_terminated", "search_runs", "get_metric_history"):
        original = getattr(MlflowClient, name)

        def call(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            counted[_name] += 1
            return _original(*args, **kwargs)

        monkeypatch.setattr(MlflowClient, name, call)
    return counted


def _history(store: TrackingStore, run: Run, metric: Metric) -> list[tuple[int, float]]:
    points = store.client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in points)


def _only_trial(store: TrackingStore, parent: str) -> Run:
    (run,) = [run for run in child_runs(store, parent) if Tag.TRIAL_NUMBER in run.data.tags]
    return run


def _assert_shows(store: TrackingStore, run: Run, trial: TrialRun, status: str) -> None:
    assert run.info.status == status
    assert run.info.start_time == trial.started_ms
    assert run.info.end_time == trial.ended_ms
    assert run.data.params == {str(k): str(v) for k, v in trial.params.items()}
    for name, value in trial.metrics.items():
        assert run.data.metrics[name] == value
    for tag, text in trial.tags.items():
        assert run.data.tags[tag] == text
    assert run.data.tags[Tag.TRIAL_NUMBER] == str(trial.trial_number)
    assert run.data.tags[Tag.TRIAL_STATE] == trial.state
    for metric in (Metric.TRAIN_LOSS, Metric.VAL_LOSS):
        expected = [(losses.epoch, getattr(losses, metric)) for losses in trial.epochs]
        assert _history(store, run, metric) == expected


def test_a_live_trial_ends_as_the_run_it_is_described_as(store: TrackingStore, parent: str) -> None:
    run_id = recorder.create_trial_run(store, parent, STARTED)
    recorder.log_params(store, run_id, STARTED)
    running = _only_trial(store, parent)
    assert running.info.status == "RUNNING"
    assert running.data.tags[Tag.TRIAL_STATE] == "RUNNING"
    recorder.log_epochs(store, run_id, ENDED.epochs[:2])
    recorder.log_epochs(store, run_id, ENDED.epochs[2:])
    recorder.close_trial_run(store, run_id, ENDED)
    _assert_shows(store, _only_trial(store, parent), ENDED, "FINISHED")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (TrialState.COMPLETE, "FINISHED"),
        (TrialState.PRUNED, "KILLED"),
        (TrialState.FAIL, "FAILED"),
    ],
)
def test_a_missing_run_is_created_whole(
    store: TrackingStore, parent: str, state: TrialState, status: str
) -> None:
    trial = replace(ENDED, state=state)
    assert recorder.bring_up_to_date(store, parent, [trial]) == 1
    _assert_shows(store, _only_trial(store, parent), trial, status)


@pytest.mark.parametrize("epochs_logged", [0, 1, 3])
def test_a_run_left_behind_is_completed_without_doubling_anything(
    store: TrackingStore, parent: str, epochs_logged: int
) -> None:
    run_id = recorder.create_trial_run(store, parent, STARTED)
    recorder.log_epochs(store, run_id, ENDED.epochs[:epochs_logged])
    failed = replace(ENDED, state=TrialState.FAIL)
    assert recorder.bring_up_to_date(store, parent, [failed]) == 1
    _assert_shows(store, _only_trial(store, parent), failed, "FAILED")


def test_bringing_up_to_date_twice_writes_nothing_more(
    store: TrackingStore, parent: str, calls: Counter[str]
) -> None:
    recorder.bring_up_to_date(store, parent, [ENDED])
    calls.clear()
    assert recorder.bring_up_to_date(store, parent, [ENDED]) == 0
    assert calls == {"search_runs": 1}


def test_a_trial_in_progress_is_left_to_its_process(store: TrackingStore, parent: str) -> None:
    recorder.create_trial_run(store, parent, STARTED)
    assert recorder.bring_up_to_date(store, parent, [STARTED]) == 0
    assert _only_trial(store, parent).info.status == "RUNNING"


def test_the_calls_of_a_trial_do_not_grow_with_the_trials_before(
    store: TrackingStore, parent: str, calls: Counter[str]
) -> None:
    recorder.bring_up_to_date(store, parent, [replace(ENDED, trial_number=n) for n in range(20)])
    calls.clear()
    run_id = recorder.create_trial_run(store, parent, replace(STARTED, trial_number=20))
    recorder.log_params(store, run_id, STARTED)
    recorder.log_epochs(store, run_id, ENDED.epochs)
    recorder.close_trial_run(store, run_id, replace(ENDED, trial_number=20))
    assert calls == {"create_run": 1, "log_batch": 3, "set_terminated": 1}

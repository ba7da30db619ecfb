"""MLflow's system metrics on the runs of trials at work."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlproject.tracking.store import TrackingStore, connect, open_experiment
from mlproject.tracking.system_metrics import system_metrics

SWITCH = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
SECONDS = 60.0


@pytest.fixture
def store(work_directory: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingStore:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.02")
    return open_experiment(connect("phase6a"))


def _new_run(store: TrackingStore) -> str:
    return str(store.client.create_run(store.experiment_id).info.run_id)


def _not_installed(_: object) -> None:
    raise ImportError


def _wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _steps(store: TrackingStore, run_id: str) -> list[int]:
    history = store.client.get_metric_history(run_id, "system/cpu_utilization_percentage")
    return [point.step for point in history]


def test_every_trial_at_work_has_them_even_after_a_request_that_fails(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "true")
    one, other = _new_run(store), _new_run(store)
    at_work = [[one], ["no such run"], [one, other]]

    def runs() -> list[str]:
        return at_work.pop(0) if len(at_work) > 1 else at_work[0]

    with system_metrics(store, runs, has_gpu=False, is_here=True):
        _wait_until(lambda: len(_steps(store, other)) >= 2)
    assert _steps(store, one)[:3] == [0, 1, 2]
    assert _steps(store, other)[:2] == [0, 1]
    assert "system/disk_usage_percentage" in store.client.get_run(one).data.metrics


def test_without_the_switch_nothing_is_measured(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    asked = []

    def runs() -> list[str]:
        asked.append(1)
        return []

    with system_metrics(store, runs, has_gpu=True, is_here=True):
        time.sleep(0.2)
    assert not asked


def test_what_is_left_out_is_said_in_a_line(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SWITCH, "true")
    with system_metrics(store, list, has_gpu=False, is_here=False):
        pass
    for gpu in ("gpu_monitor.GPUMonitor", "rocm_monitor.ROCMMonitor"):
        monkeypatch.setattr(f"mlflow.system_metrics.metrics.{gpu}.__init__", _not_installed)
    with system_metrics(store, list, has_gpu=True, is_here=True):
        pass
    assert [record.message for record in caplog.records] == [
        "system metrics are left out: trials run on other machines than this one",
        "system metrics are without the GPU's: pip install nvidia-ml-py (pyrsmi for AMD)",
    ]

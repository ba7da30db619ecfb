"""How busy the machine is while trials run: MLflow's system metrics, on the run of each trial.

MLflow's own switch turns them on, and its variables say how often; what is measured is measured by
MLflow. Its monitor is of no use here: it ends for good at the first request that fails. Nothing
here matters to a study: what MLflow does not take is lost.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mlflow.entities import Metric
from mlflow.environment_variables import (
    MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING,
    MLFLOW_SYSTEM_METRICS_NODE_ID,
    MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING,
    MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL,
)

from mlproject.tracking.store import TrackingStore

DEFAULT_INTERVAL_SECONDS = 10.0

RunsInProgress = Callable[[], Sequence[str]]
"""Returns the ids of the runs of the trials at work."""

_logger = logging.getLogger(__name__)


@contextmanager
def system_metrics(
    store: TrackingStore, runs: RunsInProgress, *, has_gpu: bool, is_here: bool
) -> Iterator[None]:
    """Log how busy this machine is to the runs of its trials while the block runs, if asked to.

    Args:
        store: where the runs are.
        runs: is asked at each measurement.
        has_gpu: the machine has one, so that a missing package is worth a line.
        is_here: trials run on this machine; where they may not, nothing is logged but a line.
    """
    if not MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
        yield
        return
    if not is_here:
        _logger.warning("system metrics are left out: trials run on other machines than this one")
        yield
        return
    has_ended = threading.Event()
    threading.Thread(
        target=_log,
        args=(store, runs, _monitors(has_gpu=has_gpu), has_ended),
        name="system metrics",
        daemon=True,
    ).start()
    try:
        yield
    finally:
        has_ended.set()


def _log(
    store: TrackingStore, runs: RunsInProgress, monitors: Sequence[Any], has_ended: threading.Event
) -> None:
    interval = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or DEFAULT_INTERVAL_SECONDS
    samples = MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() or 1
    steps: Counter[str] = Counter()
    taken = 0
    while not has_ended.wait(interval):
        try:
            for monitor in monitors:
                monitor.collect_metrics()
            taken += 1
            if taken % samples == 0:
                values = _aggregate(monitors)
                for run_id in runs():
                    store.client.log_batch(run_id, _metrics(values, steps[run_id]))
                    steps[run_id] += 1
        except Exception as error:  # whatever it is, the next may come through
            _logger.debug("system metrics are lost", exc_info=error)


def _aggregate(monitors: Sequence[Any]) -> dict[str, float]:
    """What the monitors have collected, a value for each measure; they begin anew."""
    node = MLFLOW_SYSTEM_METRICS_NODE_ID.get()
    prefix = f"system/{node}/" if node else "system/"
    values: dict[str, float] = {}
    for monitor in monitors:
        values |= {f"{prefix}{k}": float(v) for k, v in monitor.aggregate_metrics().items()}
        monitor.clear_metrics()
    return values


def _metrics(values: Mapping[str, float], step: int) -> list[Metric]:
    now = int(time.time() * 1000)
    return [Metric(name, value, now, step) for name, value in values.items()]


def _monitors(*, has_gpu: bool) -> list[Any]:
    """MLflow's monitors of what this machine has."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
    from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

    monitors: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    for of_gpu in (GPUMonitor, ROCMMonitor):
        try:
            return [*monitors, of_gpu()]
        except Exception as error:  # its package, or the card, is not there
            _logger.debug("no %s", of_gpu.__name__, exc_info=error)
    if has_gpu:
        _logger.warning(
            "system metrics are without the GPU's: pip install nvidia-ml-py (pyrsmi for AMD)"
        )
    return monitors

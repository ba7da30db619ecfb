"""A worker: what runs in a process that Ray has started, on this machine or another one.

It speaks to Optuna's storage and to the launcher, which alone writes the trial log and MLflow.
"""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import QueueHandler
from queue import SimpleQueue

import optuna
import ray
import torch
from optuna.trial import FrozenTrial

from mlproject.experiments.progress import SECONDS_BETWEEN_STEPS_SHOWN
from mlproject.experiments.trial_context import (
    Placement,
    TrialContext,
    plan_for,
    seconds_of_cost,
)
from mlproject.experiments.workers.reports import (
    EpochEnded,
    Report,
    StepDone,
    TrialBegan,
    TrialEnded,
)
from mlproject.experiments.workers.resources import ResourcesPerWorker
from mlproject.experiments.workers.shared_study import SharedStudy
from mlproject.search.sampler import make_sampler
from mlproject.search.search_space import SearchSpace
from mlproject.text.credentials import keep_credentials_unseen
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.device import select_devices
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.memory_plan import MemoryPlan
from mlproject.training.plan import TrainingPlan
from mlproject.training.system.free_memory import free_memory_bytes

Reports = SimpleQueue[Report | None]
"""What a trial's thread hands on; None is the end."""

WORKER_ATTR = "worker"
"""User attribute of a trial: the launch it belongs to, and the process and machine it runs on."""


@dataclass(frozen=True, kw_only=True)
class NodePlacement:
    """Where Ray has placed a worker."""

    node_id: str
    gpus: tuple[int | str, ...]
    """Ray's names of them."""
    free_memory_bytes: int
    """Of the worker's device, before this worker trains."""


@dataclass(frozen=True, kw_only=True)
class SharedContext:
    """What every worker of a launch needs."""

    context: TrialContext
    study: SharedStudy
    launch: str
    """A name of the launch that no other one has."""
    optuna_verbosity: int


class TrialWorker:
    """Runs trials, one at a time."""

    def __init__(self, device: str, resources: ResourcesPerWorker) -> None:
        self._device_name = device
        self._resources = resources
        # Trials run in a thread, so that Ray's own can hand on what they report.
        self._thread = ThreadPoolExecutor(1)
        self._study: optuna.Study | None = None

    def set_up(self) -> NodePlacement:
        """Take this worker's resources, and say where it is. To be called first.

        Raises:
            DeviceUnavailable: a device is not there.
        """
        keep_credentials_unseen()
        torch.set_num_threads(self._resources.cores)
        gpus = int(self._resources.gpus)
        several = ",".join(f"cuda:{gpu}" for gpu in range(gpus))
        self._devices = select_devices(several if gpus > 1 else self._device_name)
        if self._devices[0].type == "cuda" and 0 < self._resources.gpus < 1:
            torch.cuda.set_per_process_memory_fraction(self._resources.gpus)
        optuna.logging.disable_default_handler()  # the launcher writes
        return NodePlacement(
            node_id=ray.get_runtime_context().get_node_id(),
            gpus=tuple(ray.get_gpu_ids()),
            free_memory_bytes=free_memory_bytes(self._devices[0]),
        )

    def plan(self, space: SearchSpace, memory_limit_bytes: int | None) -> MemoryPlan:
        """The memory plan of a worker such as this."""
        return plan_for(self._placement(memory_limit_bytes), space)

    def speed(
        self, space: SearchSpace, plan: TrainingPlan, memory_limit_bytes: int | None
    ) -> tuple[str, float | None]:
        """The kind of this worker's device, and how fast it is (`seconds_of_cost`)."""
        placement = self._placement(memory_limit_bytes)
        return placement.devices[0].type, seconds_of_cost(placement, space, plan)

    def run_trial(
        self, shared: SharedContext, seed_index: int, memory_limit_bytes: int | None
    ) -> Iterator[Report]:
        """Run one trial to its end, and report."""
        reports: Reports = SimpleQueue()
        running = self._thread.submit(
            self._run_trial, shared, seed_index, self._placement(memory_limit_bytes), reports
        )
        running.add_done_callback(lambda _: reports.put(None))
        while (report := reports.get()) is not None:
            yield report
        running.result()  # raises what is no failure of the trial's

    def _run_trial(
        self, shared: SharedContext, seed_index: int, placement: Placement, reports: Reports
    ) -> None:
        if self._study is None:
            self._study = shared.study.load(shared.context.space.version)
        space = shared.context.space
        self._study.sampler = make_sampler(space.version, space.settings.seed, seed_index)
        train = shared.context.objective(placement, lambda trial: _Reporter(trial, reports))

        def objective(trial: optuna.Trial) -> float:
            trial.set_user_attr(WORKER_ATTR, _name(shared.launch))
            return train(trial)

        def report_end(_study: optuna.Study, trial: FrozenTrial) -> None:
            reports.put(TrialEnded(trial.number))

        optuna.logging.set_verbosity(shared.optuna_verbosity)
        with _log_lines_to(reports):
            self._study.optimize(objective, n_trials=1, catch=(Exception,), callbacks=[report_end])

    def _placement(self, memory_limit_bytes: int | None) -> Placement:
        return Placement(devices=self._devices, memory_limit_bytes=memory_limit_bytes)


@contextmanager
def _log_lines_to(reports: Reports) -> Iterator[None]:
    handler = QueueHandler(reports)
    loggers = logging.getLogger(), logging.getLogger("optuna")
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def _name(launch: str) -> str:
    context = ray.get_runtime_context()
    return f"{launch}: process {os.getpid()} of {context.get_node_id()}"


class _Reporter:
    """Hands on what is heard of a trial."""

    def __init__(self, trial: TrialRun, reports: Reports) -> None:
        self._reports = reports
        self._reported_step = time.monotonic()
        reports.put(TrialBegan(trial))

    def add(self, losses: EpochMetrics) -> None:
        """An epoch has ended."""
        self._reports.put(EpochEnded(losses))

    def add_step(self, step: int, steps: int) -> None:
        """So many steps are done: reported as often as it is shown."""
        if time.monotonic() - self._reported_step >= SECONDS_BETWEEN_STEPS_SHOWN:
            self._reports.put(StepDone(step, steps))
            self._reported_step = time.monotonic()

"""One training on several devices of this machine, a process for each.

The caller's process trains nothing: it starts the processes, passes on what they tell, and ends
them. So whatever becomes of one of them, killed or waiting for ever for another, ends here as one
error, and the caller can be interrupted at any moment.
"""

import math
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.training.checkpoint import CheckpointFile, identity_of
from mlproject.training.epoch_losses import EpochLosses
from mlproject.training.layouts import choose_layout
from mlproject.training.loop import (
    OnEpoch,
    OnStep,
    TrainingResult,
    predict_base_rate,
    train_with,
)
from mlproject.training.plan import FP32_ADAMW, Layout, TrainingPlan
from mlproject.training.settings import TrainingSettings
from mlproject.training.sharded.network import ShardedAdamW, build_sharded
from mlproject.training.sharded.step import ShardedTrainingStep
from mlproject.training.workload import Workload, usable_memory_bytes

SECONDS_TO_FIND_THE_CAUSE = 2.0
"""When a process fails, the others soon fail for want of it: which was first is waited for."""


class ProcessFailed(RuntimeError):
    """A process of a training on several devices raised an error or died."""


def train_sharded(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    on_epoch: OnEpoch,
    *,
    devices: Sequence[torch.device],
    plan: TrainingPlan = FP32_ADAMW,
    checkpoint: CheckpointFile | None = None,
    on_step: OnStep | None = None,
) -> TrainingResult:
    """As `mlproject.training.loop.train`, on all `devices`: as many as are named, all alike.

    Weights, gradients and optimiser state are shared out among them, and so is each batch. The
    callbacks are called in this process. `peak_memory_bytes` is that of the process with the
    highest peak.

    Raises:
        ProcessFailed: one of the processes failed, with its reason.
    """
    workload = Workload.on(devices, n_features=data.n_features, batch_size=settings.batch_size)
    job = _Job(
        devices=tuple(devices),
        architecture=architecture,
        data=data.to("cpu"),
        settings=settings,
        plan=plan,
        checkpoint=checkpoint,
        layout=choose_layout(architecture, plan, workload, usable_memory_bytes(workload)),
        threads=max(1, torch.get_num_threads() // len(devices)),
    )
    with tempfile.TemporaryDirectory() as folder, _Processes(job, Path(folder)) as processes:
        return processes.follow(on_epoch, on_step)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What every process is given."""

    devices: tuple[torch.device, ...]
    architecture: Architecture
    data: WindowedData
    settings: TrainingSettings
    plan: TrainingPlan
    checkpoint: CheckpointFile | None
    layout: Layout
    threads: int
    """Cores of a process whose device is a CPU."""


@dataclass(frozen=True)
class _StepDone:
    step: int
    steps: int


@dataclass(frozen=True)
class _Failure:
    reason: str
    at: float
    """`time.monotonic`, which all processes of a machine share."""


class _Processes:
    """The processes of one training, as the caller sees them."""

    def __init__(self, job: _Job, folder: Path) -> None:
        self._devices = job.devices
        # As bytes: tensors would be passed on as memory that is shared with this process.
        self._job = pickle.dumps(job)
        self._meeting_place = str(folder / "processes")
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._failures: dict[int, _Failure] = {}
        self._results: dict[int, TrainingResult] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        context = get_context("spawn")
        # Ctrl-C goes to every process of a terminal. It is this process that ends the others.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for rank in range(len(self._devices)):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_run_process,
                    args=(rank, self._job, self._meeting_place, theirs),
                    daemon=True,
                )
                process.start()
                theirs.close()
                self._processes.append(process)
                self._connections.append(ours)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def follow(self, on_epoch: OnEpoch, on_step: OnStep | None) -> TrainingResult:
        """Pass on what the processes tell until all have a result.

        Raises:
            ProcessFailed: one of them has failed or died instead.
        """
        while len(self._results) < len(self._processes):
            for message in self._hear():
                if isinstance(message, EpochLosses):
                    self._tell(on_epoch(message))
                elif on_step is not None:
                    on_step(message.step, message.steps)
            if self._failures:
                raise self._cause()
        peak_bytes = max(result.peak_memory_bytes for result in self._results.values())
        return replace(self._results[0], peak_memory_bytes=peak_bytes)

    def _hear(self, timeout_seconds: float | None = None) -> Iterator["EpochLosses | _StepDone"]:
        """What the first process tells, once something is heard; how each of them ends is kept."""
        for connection in wait([c for c in self._connections if not c.closed], timeout_seconds):
            assert isinstance(connection, Connection)
            rank = self._connections.index(connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):
                connection.close()
                self._failures.setdefault(rank, _death_of(self._processes[rank]))
                continue
            if isinstance(message, _Failure):
                self._failures[rank] = message
            elif isinstance(message, TrainingResult):
                self._results[rank] = message
            else:
                yield message

    def _tell(self, stop: bool) -> None:
        for connection in self._connections:
            # A process that has died is heard of next.
            with suppress(OSError):
                connection.send(stop)

    def _cause(self) -> ProcessFailed:
        """The failure that came first, once the others have had the time to be heard of."""
        deadline = time.monotonic() + SECONDS_TO_FIND_THE_CAUSE
        while len(self._failures) < len(self._processes) and time.monotonic() < deadline:
            for _ in self._hear(max(0.0, deadline - time.monotonic())):
                pass
        rank, failure = min(self._failures.items(), key=lambda item: item[1].at)
        which = f"process {rank + 1} of {len(self._processes)}, on {self._devices[rank]}"
        return ProcessFailed(f"{which}, {failure.reason}")

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for connection in self._connections:
            connection.close()


def _death_of(process: BaseProcess) -> _Failure:
    """The failure of a process that ended without a word."""
    process.join()
    exit_code = process.exitcode
    assert exit_code is not None
    if exit_code >= 0:
        return _Failure(f"ended with exit code {exit_code}", time.monotonic())
    reason = f"was killed by {signal.Signals(-exit_code).name}"
    if -exit_code == signal.SIGKILL:
        reason += ", as the system does when memory runs out"
    return _Failure(reason, -math.inf)  # nothing that another process did would kill it


def _run_process(rank: int, job: bytes, meeting_place: str, connection: Connection) -> None:
    """The whole life of one process: it ends when the caller ends it, or with the caller."""
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    # Of the logits, which are never changed in place.
    warnings.filterwarnings("ignore", message=".*returned a view tensor", category=UserWarning)
    try:
        connection.send(_train(rank, pickle.loads(job), meeting_place, connection))
    except BaseException as error:
        lines = str(error).splitlines() or [""]
        reason = f"failed with {type(error).__name__}: {lines[0]}"
        connection.send(_Failure(reason, time.monotonic()))
        os._exit(1)  # at once: the usual end may wait for the other processes
    threading.Event().wait()


def _end_with_the_caller() -> None:
    caller = parent_process()
    assert caller is not None
    caller.join()
    os._exit(1)


def _train(rank: int, job: _Job, meeting_place: str, connection: Connection) -> TrainingResult:
    """One process's part of the training."""

    def on_epoch(losses: EpochLosses) -> bool:
        if rank == 0:
            connection.send(losses)
        stop: bool = connection.recv()
        return stop

    def on_step(step: int, steps: int) -> None:
        connection.send(_StepDone(step, steps))

    return train_with(
        _prepare(rank, job, meeting_place),
        identity_of(job.architecture, job.settings, job.plan),
        on_epoch,
        checkpoint=job.checkpoint,
        on_step=on_step if rank == 0 else None,
    )


def _prepare(rank: int, job: _Job, meeting_place: str) -> ShardedTrainingStep:
    """Meet the other processes and build this process's part of a fresh model."""
    device, settings = job.devices[rank], job.settings
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    else:
        torch.set_num_threads(job.threads)
        backend = "gloo"
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    n_processes = len(job.devices)
    dist.init_process_group(
        backend, init_method=f"file://{meeting_place}", rank=rank, world_size=n_processes
    )
    data = job.data.to(device)
    torch.manual_seed(settings.seed)
    mesh = init_device_mesh(device.type, (n_processes,))
    model = build_sharded(
        job.architecture,
        num_features=job.data.n_features,
        precision=job.plan.precision,
        mesh=mesh,
    )
    predict_base_rate(model, data)
    # On a GPU dropout masks come from this generator: each process has other windows.
    torch.manual_seed(int(np.random.SeedSequence((settings.seed, rank)).generate_state(1)[0]))
    return ShardedTrainingStep(
        model=model,
        optimiser=ShardedAdamW(model, settings),
        data=data,
        settings=settings,
        layout=job.layout,
    )

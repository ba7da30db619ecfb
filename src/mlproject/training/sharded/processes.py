"""The processes of a training on several devices, as their caller sees them.

The caller's process trains nothing: it starts the processes, passes on what they tell, and ends
them. So whatever becomes of one of them, killed or waiting for ever for another, ends here as one
error, and the caller can be interrupted at any moment. What each process does is in `worker`.
"""

import math
import os
import pickle
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.loop import OnEpoch, OnStep
from mlproject.training.result import TrainingResult
from mlproject.training.sharded import worker
from mlproject.training.sharded.job import Failure, Job, StepTaken

SECONDS_TO_FIND_THE_CAUSE = 2.0
"""When a process fails, the others soon fail because it is gone. So long their failures are waited
for, so that the first one is reported."""


class ProcessFailed(RuntimeError):
    """A process of a training on several devices raised an error or died."""


class Processes:
    """The processes of one training, as the caller sees them: a context manager that ends them."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._devices = job.devices
        # As bytes: tensors would be passed on as memory that is shared with this process.
        self._job = pickle.dumps(job)
        self._meeting_place = str(folder / "processes")
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._failures: dict[int, Failure] = {}
        self._results: dict[int, TrainingResult] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def _start(self) -> None:
        # A server imports torch once, and forks for every training of this process. It touches no
        # device itself, which a fork would not survive.
        context = get_context("forkserver")
        context.set_forkserver_preload([worker.__name__])
        # Ctrl-C goes to every process of a terminal. It is this process that ends the others.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        # The server's standard error is the one that this process had when it was started.
        stderr = Connection(os.dup(worker.STDERR), readable=False)
        try:
            for rank in range(len(self._devices)):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=worker.run_process,
                    args=(rank, self._job, self._meeting_place, theirs, stderr),
                    daemon=True,
                )
                process.start()
                theirs.close()
                self._processes.append(process)
                self._connections.append(ours)
        finally:
            stderr.close()
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
                if isinstance(message, EpochMetrics):
                    self._tell(on_epoch(message))
                elif on_step is not None:
                    on_step(message.step, message.steps)
            if self._failures:
                raise self._cause()
        peak_bytes = max(result.peak_memory_bytes for result in self._results.values())
        return replace(self._results[0], peak_memory_bytes=peak_bytes)

    def _hear(self, timeout_seconds: float | None = None) -> Iterator[EpochMetrics | StepTaken]:
        """The messages of the first process that have come; how each process ends is kept."""
        for connection in wait([c for c in self._connections if not c.closed], timeout_seconds):
            assert isinstance(connection, Connection)
            rank = self._connections.index(connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):
                connection.close()
                self._failures.setdefault(rank, _death_of(self._processes[rank]))
                continue
            if isinstance(message, Failure):
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
        """The failure that came first, after a wait for the failures that follow from it."""
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


def _death_of(process: BaseProcess) -> Failure:
    """The failure of a process that ended without a word."""
    process.join()
    exit_code = process.exitcode
    assert exit_code is not None
    if exit_code >= 0:
        return Failure(f"ended with exit code {exit_code}", time.monotonic())
    reason = f"was killed by {signal.Signals(-exit_code).name}"
    if -exit_code == signal.SIGKILL:
        reason += ", as the system does when memory runs out"
    return Failure(reason, -math.inf)  # nothing that another process did would kill it

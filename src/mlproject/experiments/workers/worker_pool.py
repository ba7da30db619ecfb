"""The workers of a launch: placed by Ray, and placed again when they are lost."""

import logging
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from mlproject.errors import UserError
from mlproject.experiments.workers.ray_session import RaySession
from mlproject.experiments.workers.resources import ResourcesPerWorker
from mlproject.experiments.workers.trial_worker import NodePlacement, TrialWorker
from mlproject.search.remaining_trials import MAX_FAILURES_IN_A_ROW
from mlproject.text.credentials import first_line

MAX_RESTARTS = 20
"""Ray gives a worker up whose process died more often, so that one that dies at once every time,
before it has begun anything, ends the launch."""

PATIENCE_SECONDS = 60.0
"""A launch that waits so long without a single worker says so."""

_logger = logging.getLogger(__name__)


class WorkersFailing(UserError):
    """Workers do not start, or die again and again."""

    exit_code = 1


class Worker:
    """One worker, whatever process stands behind it at the moment."""

    def __init__(self, device: str, resources: ResourcesPerWorker) -> None:
        actor_class = ray.remote(TrialWorker).options(
            num_cpus=resources.cores,
            num_gpus=resources.gpus,
            max_restarts=MAX_RESTARTS,
            max_task_retries=0,  # a trial is tried again as Optuna's storage has it
        )
        self.actor: Any = actor_class.remote(device, resources)
        self.memory_limit_bytes: int | None = None
        self._deaths_in_a_row = 0

    def finished_trial(self) -> None:
        """It has run a trial to its end."""
        self._deaths_in_a_row = 0

    def died(self, reason: str) -> None:
        """Its process is lost.

        Raises:
            WorkersFailing: once too often.
        """
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row == MAX_FAILURES_IN_A_ROW:
            raise WorkersFailing(
                f"a worker died {self._deaths_in_a_row} times in a row, the last time: {reason}: "
                "mend the cause and run the same command again"
            )


class WorkerPool:
    """All workers of a launch."""

    def __init__(
        self, session: RaySession, count: int, device: str, resources: ResourcesPerWorker
    ) -> None:
        self._session = session
        self._resources = resources
        self._free_memory: dict[tuple[str, tuple[int | str, ...]], int] = {}
        """Of each device before any worker trained there."""
        self._workers = [Worker(device, resources) for _ in range(count)]
        self._starting: dict[Any, Worker] = {}
        for worker in self._workers:
            self.await_start(worker)

    @property
    def starting(self) -> Mapping[Any, Worker]:
        """Workers that wait for a place or set themselves up, by Ray's reference."""
        return self._starting

    def await_start(self, worker: Worker) -> None:
        """A worker is new, or Ray is about to restart it."""
        set_up = worker.actor.set_up.options(max_task_retries=-1)
        self._starting[set_up.remote()] = worker

    def started(self, reference: Any) -> Worker:
        """The worker of `starting` that is ready.

        Raises:
            UserError: it cannot start.
        """
        worker = self._starting.pop(reference)
        spot: NodePlacement = answer(reference)
        free = self._free_memory.setdefault((spot.node_id, spot.gpus), spot.free_memory_bytes)
        for node in self._session.nodes:
            if node.node_id == spot.node_id:
                part = self._resources.of_memory(node)
                worker.memory_limit_bytes = None if part is None else int(free * part)
        return worker

    def first_started(self) -> Worker:
        """The worker of `starting` that is ready first.

        Raises:
            UserError: it cannot start.
        """
        while True:
            ready, _ = ray.wait(list(self._starting), timeout=PATIENCE_SECONDS)
            if ready:
                return self.started(ready[0])
            self.say_that_none_has_a_place()

    def say_that_none_has_a_place(self) -> None:
        """Tell the user why nothing happens."""
        _logger.warning("all workers wait for a place: Ray's machines are busy with other work")

    def kill(self) -> None:
        """End all of them."""
        for worker in self._workers:
            ray.kill(worker.actor)


def answer(reference: Any) -> Any:
    """What a worker answers.

    Raises:
        UserError: what went wrong there, in one line.
    """
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from error
        raise WorkersFailing(f"a worker fails: {first_line(error.cause)}") from error
    except RayError as error:
        reason = str(error).strip().splitlines()[-1]  # after a stack trace
        raise WorkersFailing(f"Ray cannot start a worker: {reason}") from error

"""Trials on workers that Ray places and restarts: who they are and how many."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlproject.experiments.forecast import Speed
from mlproject.experiments.storage import StudyStorage
from mlproject.experiments.trial_context import TrialContext
from mlproject.experiments.trial_watch import StudyWatch
from mlproject.experiments.workers.dispatch import Dispatch
from mlproject.experiments.workers.ray_session import RaySession, ray_session
from mlproject.experiments.workers.resources import equal_resources
from mlproject.experiments.workers.settings import BadWorkers, WorkerSettings
from mlproject.experiments.workers.shared_study import share_study
from mlproject.experiments.workers.worker_pool import Worker, WorkerPool, answer
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.text.phrases import counted
from mlproject.training.memory_plan import MemoryPlan


@contextmanager
def open_ray_workers(settings: WorkerSettings, device: str) -> Iterator["RayWorkers"]:
    """Start the workers; they end with the block.

    Raises:
        BadWorkers: Ray cannot be used, or has no room for them.
    """
    if device.startswith("cuda:") or "," in device:
        raise BadWorkers(
            f"device {device} names what Ray is to choose: use auto, cuda or cpu, and "
            "gpus_per_trial for several GPUs each"
        )
    if device == "cpu" and settings.gpus_per_trial:
        gpus = settings.gpus_per_trial
        raise BadWorkers(f"gpus_per_trial is {gpus:g}, but device is cpu: leave one of them out")
    with ray_session(settings) as session:
        yield RayWorkers(session, settings, device)


class RayWorkers:
    """Workers in processes of Ray's."""

    train_here = False

    def __init__(self, session: RaySession, settings: WorkerSettings, device: str) -> None:
        nodes = session.nodes
        gpus = settings.gpus_per_trial
        if gpus is None:
            has_gpus = any(node.gpus for node in nodes)
            gpus = 1.0 if device == "cuda" or (device == "auto" and has_gpus) else 0.0
        if device == "auto":
            device = "cuda" if gpus else "cpu"
        self.are_here = settings.ray_address is None
        self._session = session
        self._count = settings.workers
        self._resources = equal_resources(nodes, settings.workers, gpus)
        self._first: Worker | None = None
        """The worker that had its place first."""
        self._pool = WorkerPool(session, settings.workers, device, self._resources)

    def as_text(self) -> str:
        """A line that says how many there are, where, and what each of them has."""
        cores, gpus, machines = (
            self._resources.cores,
            self._resources.gpus,
            len(self._session.nodes),
        )
        has = counted(cores, "core") + (f" and {gpus:g} GPU" if gpus else "")
        where = counted(machines, "machine")
        return f"workers: {self._count} through Ray on {where}, each with {has}\n"

    def plan(self, space: SearchSpace) -> MemoryPlan:
        """The memory plan of the worker that has its place first."""
        worker = self._first = self._pool.first_started()
        self._pool.await_start(worker)
        plan: MemoryPlan = answer(worker.actor.plan.remote(space, worker.memory_limit_bytes))
        return plan

    def speed(self, space: SearchSpace, plan: MemoryPlan) -> Speed:
        """How fast the worker is that made the plan; the others are as it is."""
        assert self._first is not None
        device_type, seconds = answer(
            self._first.actor.speed.remote(space, plan.training, self._first.memory_limit_bytes)
        )
        return Speed(device_type=device_type, workers=self._count, seconds_of_cost=seconds)

    def run_trials(
        self,
        context: TrialContext,
        remaining: RemainingTrials,
        watch: StudyWatch,
        storage: StudyStorage,
    ) -> None:
        """Run what remains, as many trials at a time as there are workers."""
        with share_study(storage, self._session.host) as shared:
            Dispatch(self._pool, remaining, watch, storage).run(context, shared)

"""Who runs the trials of a launch: this process, or processes that Ray places and restarts.

What a trial does is in `mlproject.experiments.objective`, wherever it runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mlproject.experiments.forecast import Speed
from mlproject.experiments.storage import StudyStorage
from mlproject.experiments.trial_context import TrialContext
from mlproject.experiments.trial_watch import StudyWatch
from mlproject.experiments.workers.settings import WorkerSettings
from mlproject.experiments.workers.this_process import ThisProcess
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.training.device import select_devices
from mlproject.training.memory_plan import MemoryPlan


class Workers(Protocol):
    """Those who run the trials of a launch."""

    train_here: bool
    """Whether trials train in this process."""
    are_here: bool
    """Whether all of them are on this machine."""

    def plan(self, space: SearchSpace) -> MemoryPlan:
        """The memory plan where a trial will run."""

    def speed(self, space: SearchSpace, plan: MemoryPlan) -> Speed:
        """What is known of how fast trials will run."""

    def run_trials(
        self,
        context: TrialContext,
        remaining: RemainingTrials,
        watch: StudyWatch,
        storage: StudyStorage,
    ) -> None:
        """Run what remains of the study in the storage."""

    def as_text(self) -> str:
        """A line that says who they are; empty for this process alone."""


@contextmanager
def open_workers(settings: WorkerSettings, device: str) -> Iterator[Workers]:
    """The workers that the user asks for; those of Ray's end with the block.

    Raises:
        UserError: a device that is not there, or a Ray that cannot do what it is asked for.
    """
    if not settings.through_ray:
        yield ThisProcess(select_devices(device))
        return
    from mlproject.experiments.workers.ray_workers import open_ray_workers

    with open_ray_workers(settings, device) as workers:
        yield workers

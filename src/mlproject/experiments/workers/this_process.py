"""One trial at a time, in this very process."""

import torch

from mlproject.experiments.forecast import Speed
from mlproject.experiments.storage import StudyStorage
from mlproject.experiments.trial_context import (
    Placement,
    TrialContext,
    plan_for,
    seconds_of_cost,
)
from mlproject.experiments.trial_watch import StudyWatch
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.sampler import make_sampler
from mlproject.search.search_space import SearchSpace
from mlproject.training.memory_plan import MemoryPlan


class ThisProcess:
    """Runs the trials of a launch itself."""

    train_here = are_here = True

    def __init__(self, devices: tuple[torch.device, ...]) -> None:
        self._placement = Placement(devices=devices)

    def as_text(self) -> str:
        """Nothing to be said."""
        return ""

    def plan(self, space: SearchSpace) -> MemoryPlan:
        """The memory plan here."""
        return plan_for(self._placement, space)

    def speed(self, space: SearchSpace, plan: MemoryPlan) -> Speed:
        """How fast this process is."""
        return Speed(
            device_type=self._placement.devices[0].type,
            seconds_of_cost=seconds_of_cost(self._placement, space, plan.training),
        )

    def run_trials(
        self,
        context: TrialContext,
        remaining: RemainingTrials,
        watch: StudyWatch,
        storage: StudyStorage,  # noqa: ARG002 # the study knows its own
    ) -> None:
        """Run one trial after the other until nothing remains."""
        study = remaining.study
        objective = context.objective(self._placement, watch.begin)
        space = context.space
        while remaining.n_to_start():
            study.sampler = make_sampler(
                space.version, space.settings.seed, remaining.next_seed_index()
            )
            study.optimize(
                objective,
                n_trials=1,
                catch=(Exception,),
                callbacks=[watch.end, lambda _study, trial: remaining.count(trial)],
            )

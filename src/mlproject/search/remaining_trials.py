"""Which trials a launch still has to run, and when so many fail that it had better stop."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from mlproject.errors import UserError
from mlproject.search.replicates import enqueue_replicates
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import (
    QueuedTrial,
    counts_towards_plan,
    enqueue_missing_trials,
    enqueue_supplement,
    failure_reason,
    finished_trials,
    known_params,
    own_trials,
)
from mlproject.tracking.names import FINISHED_STATES, Tag

MAX_FAILURES_IN_A_ROW = 5


class StudyFailing(UserError):
    """Trial after trial raises an error: the study stops before it wastes more."""

    exit_code = 1


class RemainingTrials:
    """What is left to do of a study, or of a supplement to it.

    Decided from the study's own trials every time, so that it does not matter who ran the others.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        supplement: Sequence[QueuedTrial] | None = None,
    ) -> None:
        self.study = study
        self._space = space
        self._is_supplement = supplement is not None
        self._last_seed_index = -1
        self._failures_in_a_row = 0
        if supplement is not None:
            enqueue_supplement(study, space, supplement)

    @property
    def n_trials(self) -> int:
        """How many finished trials the study is to have."""
        return self._space.settings.n_trials

    def plan(self, n_trials: int) -> None:
        """The study is to have so many finished trials from now on."""
        settings = replace(self._space.settings, n_trials=n_trials)
        self._space = replace(self._space, settings=settings)

    def has_changed(self) -> bool:
        """Whether more, or fewer, may be started than when this was last asked, though no trial
        has ended."""
        return False

    def n_to_start(self, *, places: int = 1, at_work: int = 0, unbegun: int = 0) -> int:
        """How many trials are to be started; what is missing is enqueued first.

        Args:
            places: how many can be at once; of so many replicates are chosen now, by what is known.
            at_work: trials that were asked for and have not ended.
            unbegun: those of them that may not have been taken from the queue yet.
        """
        if self._is_supplement:
            enqueue_supplement(self.study, self._space, ())
            waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            return max(0, len(waiting) - unbegun)
        missing = self.n_trials - finished_trials(self.study) - at_work
        if missing > 0:
            enqueue_missing_trials(self.study, self._space)
            enqueue_replicates(self.study, self._space, min(places, missing), unbegun=unbegun)
        return max(0, missing)

    def not_begun(self, trials: Sequence[FrozenTrial], at_work: int) -> list[Mapping[str, Any]]:
        """What is known of the params of each trial that has not begun.

        Nothing is known where the sampler will choose. Of the study's `trials` so many are
        `at_work`.
        """
        waiting = [known_params(trial) for trial in trials if trial.state is TrialState.WAITING]
        if self._is_supplement:
            return list(waiting)
        finished = sum(map(counts_towards_plan, own_trials(trials)))
        missing = max(0, self.n_trials - finished - at_work)
        return [*waiting[:missing], *({} for _ in range(missing - len(waiting)))]

    def count_finished(self, trials: Sequence[FrozenTrial], at_work: int) -> tuple[int, int]:
        """How many of the study's `trials` have finished, and how many there will be in all.

        Of a supplement these are its own trials, those of earlier launches included.
        """
        if not self._is_supplement:
            return sum(map(counts_towards_plan, own_trials(trials))), self.n_trials
        finished = sum(
            trial.state.name in FINISHED_STATES and Tag.SUPPLEMENT in trial.user_attrs
            for trial in trials
        )
        return finished, finished + at_work + len(self.not_begun(trials, at_work))

    def next_seed_index(self) -> int:
        """The seed index of the next trial, from which its sampler is seeded.

        It is the number of trials started so far, unique among trials that start together.
        """
        trials = self.study.get_trials(deepcopy=False)
        begun = sum(trial.state is not TrialState.WAITING for trial in trials)
        self._last_seed_index = max(begun, self._last_seed_index + 1)
        return self._last_seed_index

    def count(self, trial: FrozenTrial) -> None:
        """A trial has ended.

        Raises:
            StudyFailing: it is one of too many in a row that failed.
        """
        self.count_outcome(failure_reason(trial))

    def count_outcome(self, failure: str | None) -> None:
        """As `count`, of a trial that is known by the reason of its failure alone."""
        self._failures_in_a_row = self._failures_in_a_row + 1 if failure else 0
        if self._failures_in_a_row == MAX_FAILURES_IN_A_ROW:
            raise StudyFailing(
                f"study {self.study.study_name} stops: {self._failures_in_a_row} trials in a row "
                f"failed, the last one with {failure}: mend the cause and run the "
                "same command again"
            )

"""How far a launch may go: what its user has asked for since it began."""

import threading
from collections.abc import Callable, Sequence

import optuna

from mlproject.experiments.control.commands import Command, Verb
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import QueuedTrial

_SECONDS_BETWEEN_LOOKS = 1.0
"""A thread that is held looks about so often, so that Ctrl-C reaches it."""


class StoppedNow(KeyboardInterrupt):
    """The user wants the launch to end at once: an interruption like Ctrl-C."""


class Steering:
    """Is told what to do by one thread, and asked by the one that runs the trials."""

    def __init__(self, n_trials: int, *, holds_steps: bool) -> None:
        """Begin with nothing asked for.

        Args:
            n_trials: how many trials the study is to have.
            holds_steps: trials train in this process, where a pause can hold them at a step.
        """
        self.n_trials = n_trials
        self._holds_steps = holds_steps
        self._changed = threading.Condition()
        self._is_calm = True
        """Nothing stands in the way of the next step."""
        self._is_paused = self._is_stopping = self._is_stopping_now = False
        self._has_news = False

    def obey(self, command: Command) -> str:
        """Do what is asked, and say what that means now."""
        with self._changed:
            verb = command.verb
            if command.n_trials is not None:
                self.n_trials = command.n_trials
            else:
                self._is_paused = verb is Verb.PAUSE
                self._is_stopping = verb in (Verb.STOP, Verb.STOP_NOW)
                self._is_stopping_now = verb is Verb.STOP_NOW
            self._is_calm = not (self._is_paused or self._is_stopping_now)
            self._has_news = True
            self._changed.notify_all()
        return self._meaning(command)

    def at_step(self) -> None:
        """Between two steps of a trial: wait while the user wants a pause.

        Raises:
            StoppedNow: the user wants the launch to end.
        """
        if self._is_calm:
            return
        if self._holds_steps:
            self.wait_while_paused()
        if self._is_stopping_now:
            raise StoppedNow

    def wait_while_paused(self) -> None:
        """Wait until there is no pause, or none any more.

        Raises:
            StoppedNow: the user wants the launch to end.
        """
        with self._changed:
            while self._is_paused:
                self._changed.wait(_SECONDS_BETWEEN_LOOKS)
        if self._is_stopping_now:
            raise StoppedNow

    @property
    def may_begin_trials(self) -> bool:
        """Whether further trials may be begun."""
        return not (self._is_paused or self._is_stopping)

    @property
    def is_stopping(self) -> bool:
        """Whether the launch is to end when the trials at work have ended."""
        return self._is_stopping

    def take_news(self) -> bool:
        """Whether something was asked since this was last called."""
        news, self._has_news = self._has_news, False
        return news

    def _meaning(self, command: Command) -> str:
        match command.verb:
            case Verb.PAUSE if self._holds_steps:
                return "the trial at work waits at its next step, and no other begins"
            case Verb.PAUSE:
                return "no trial begins; those at work on other processes go on to their end"
            case Verb.RESUME:
                return "the study goes on"
            case Verb.STOP:
                return "the launch ends with the trials at work; the same command goes on"
            case Verb.STOP_NOW:
                return "the trials at work are interrupted; the same command goes on with them"
        return f"the study ends with {command.n_trials} finished trials"


class SteeredTrials(RemainingTrials):
    """What is left to do of a study, as far as its user lets it."""

    def __init__(
        self,
        study: optuna.Study,
        space: SearchSpace,
        supplement: Sequence[QueuedTrial] | None,
        steering: Steering,
    ) -> None:
        super().__init__(study, space, supplement)
        self._steering = steering
        self.is_cut_short = False
        """Trials are missing that the user did not want to wait for."""

    def n_to_start(self, *, places: int = 1, at_work: int = 0, unbegun: int = 0) -> int:
        """As far as there is no pause and no stop. With nothing at work, wait for a pause to end.

        Raises:
            StoppedNow: the user wants the launch to end.
        """
        if not at_work:
            self._steering.wait_while_paused()
        self._steering.at_step()
        self.plan(self._steering.n_trials)
        may_begin = self._steering.may_begin_trials
        # Replicates are chosen when they begin, by what is known then.
        missing = super().n_to_start(
            places=places if may_begin else 0, at_work=at_work, unbegun=unbegun
        )
        if may_begin:
            return missing
        self.is_cut_short = self._steering.is_stopping and missing > 0
        return 0

    def has_changed(self) -> bool:
        """Whether more, or fewer, may be started than when this was last asked."""
        return self._steering.take_news()


Obey = Callable[[Command], str]
"""Does what is asked, and says what that means."""

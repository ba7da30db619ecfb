"""The pace of one trial in progress: how long an epoch of it takes."""

import math
import time

from mlproject.training.cost import EpochShape

STEPS = 3
"""Enough to tell the pace, after the first step, in which memory is taken and libraries load."""
SECONDS = 20.0
"""Steps as slow as this tell it at once."""
_HELD = 5.0
"""Nothing is heard of a trial for so many times longer than it should be: it was held."""
_LEAST_HELD_SECONDS = 60.0


class Pace:
    """Measures a trial from the first step that is heard of.

    Epochs that were trained before a kill are heard of again all at once: they come before any
    step, and are not timed.
    """

    def __init__(self, shape: EpochShape, planned_epochs: int) -> None:
        self._shape = shape
        self._planned_epochs = planned_epochs
        self._epochs_ended = 0
        self._done = 0.0
        """Epochs, the part of the one at work included."""
        self._steps = 0
        self._begun: tuple[float, float, int] | None = None
        """When the first step was heard of, and what was done by then."""
        self._heard: tuple[float, float] = 0.0, 0.0
        """When the last one was heard of, and what was done by then."""
        self._held_seconds = 0.0
        self._was_held = False
        self.epoch_seconds: float | None = None
        """None until enough steps were timed."""

    @property
    def epochs_left(self) -> float:
        """Epochs that are left if it is neither pruned nor stopped early."""
        return max(0.0, self._planned_epochs - self._done)

    @property
    def seconds_left(self) -> float | None:
        """As `epochs_left`."""
        return None if self.epoch_seconds is None else self.epochs_left * self.epoch_seconds

    def add_step(self, step: int, steps: int) -> None:
        """So many of an epoch's steps are done."""
        self._done = self._epochs_ended + self._shape.done(step, steps)
        self._steps = self._epochs_ended * steps + step
        if self._begun is None:
            now = time.monotonic()
            self._begun, self._heard = (now, self._done, self._steps), (now, self._done)
        seconds = self._seconds()
        timed = self._steps - self._begun[2]
        if timed >= STEPS or (timed and seconds >= SECONDS):
            self.epoch_seconds = seconds / (self._done - self._begun[1])

    def add_epoch(self, epoch: int) -> None:
        """An epoch has ended, validation included."""
        self._epochs_ended = epoch
        self._done = float(epoch)
        if self.epoch_seconds is not None and self._begun is not None:
            self.epoch_seconds = self._seconds() / (self._done - self._begun[1])

    def _seconds(self) -> float:
        """How long the trial has trained since the first step, a pause left out.

        Only one silence at a time is taken for a pause: a machine that has become slow is slow.
        """
        assert self._begun is not None
        now, (heard, done_then) = time.monotonic(), self._heard
        self._heard = now, self._done
        silence = now - heard
        pace, done = self.epoch_seconds, self._done - done_then
        due = math.inf if pace is None else pace * done
        is_held = silence > max(_HELD * due, _LEAST_HELD_SECONDS)
        if is_held and not self._was_held:
            self._held_seconds += silence - due
        self._was_held = is_held
        return now - self._begun[0] - self._held_seconds

"""The pace of one trial in progress: how long an epoch of it takes."""

import time

from mlproject.training.cost import EpochShape

STEPS = 3
"""Enough to tell the pace, after the first step, in which memory is taken and libraries load."""
SECONDS = 20.0
"""Steps as slow as this tell it at once."""


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
        now = time.monotonic()
        if self._begun is None:
            self._begun = now, self._done, self._steps
        begun, done_then, steps_then = self._begun
        timed = self._steps - steps_then
        if timed >= STEPS or (timed and now - begun >= SECONDS):
            self.epoch_seconds = (now - begun) / (self._done - done_then)

    def add_epoch(self, epoch: int) -> None:
        """An epoch has ended, validation included."""
        self._epochs_ended = epoch
        self._done = float(epoch)
        if self.epoch_seconds is not None and self._begun is not None:
            begun, done_then, _ = self._begun
            self.epoch_seconds = (time.monotonic() - begun) / (self._done - done_then)

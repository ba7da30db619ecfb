"""What MLflow has not been given: why, and how much of it waits in the study's storage."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mlproject.text.phrases import counted


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which MLflow does not answer, or in which there is nothing to be written to it."""

    since: datetime
    reason: str
    of_storage: bool = False
    """It is the study's storage that cannot be read."""

    @property
    def who(self) -> str:
        """Who does not answer."""
        return "the study's storage" if self.of_storage else "MLflow"

    def __str__(self) -> str:
        return f"{self.who} does not answer since {self.since:%H:%M} ({self.reason})"


@dataclass(frozen=True, kw_only=True)
class PendingWrites:
    """The trials that MLflow was not given when a launch ended; the study's storage has them."""

    outage: Outage | None
    """Why nothing at all could be written; None where MLflow answers."""
    trials_waiting: int
    """Trials that ended during the outage."""
    refused: Mapping[int, str]
    """Why MLflow does not take a trial, by its number."""
    was_interrupted: bool = False
    """The user pressed Ctrl-C while the launch waited for MLflow."""

    def as_text(self) -> str | None:
        """Say what is missing and what mends it, as the end of a sentence; None if nothing is."""
        if self.outage is not None:
            waiting = f", and {counted(self.trials_waiting, 'trial')} wait"
            waiting *= self.trials_waiting > 0
            mend = "mend that" if self.outage.of_storage else "start the tracking server"
            return f"{self.outage}{waiting}: {mend}"
        if self.refused:
            named = "; ".join(f"trial {n} ({why})" for n, why in self.refused.items())
            return f"MLflow refuses {named}: mend the cause"
        return None

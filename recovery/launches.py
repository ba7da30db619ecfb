"""One launch of an old study: which of its trials are open, and whether its lines hang together.

A line belongs to a study only by standing after the line that names it. So a launch whose lines
contradict each other (time runs backwards, a trial number comes twice, the best trial is another
one than before) was shuffled or mixed with another, and none of its trials can be trusted.
"""

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from recovery.lines import milliseconds
from recovery.old_trials import OldTrial
from recovery.records import LaunchId

BACKWARDS_MS = 1000
"""Threads that log at once may swap their lines by less than this."""


@dataclass(kw_only=True)
class Launch:
    """What is known of a launch while its lines are read."""

    id: LaunchId
    study_name: str | None
    logged_name: str
    why_unnamed: str = ""
    """The reason to give for the trials of a launch whose study is not known."""
    open: dict[int, OldTrial] = field(default_factory=dict)
    closed: dict[int, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """First and last line of each trial that ended."""
    values: dict[int, str] = field(default_factory=dict)
    claims: dict[int, str] = field(default_factory=dict)
    """Value of each trial that was called the best."""
    last_stamp: bytes | None = None
    disorder: str | None = None
    forced_dropout: tuple[tuple[float, float], bytes, int] | None = None
    """A line of a forced dropout that waits for its trial: values, text, line number."""
    last_error: str | None = None
    """The last line of the last traceback."""
    scan_complete: bool = False

    def see_time(self, stamp: bytes, zone: ZoneInfo) -> None:
        """Note the time of a line."""
        last = self.last_stamp
        if last is not None and stamp < last:
            before = milliseconds(last, zone)
            now = milliseconds(stamp, zone, not_before=before)
            if before is None or now is None or now < before - BACKWARDS_MS:
                self.distrust(
                    f"time runs backwards ({last.decode()} to {stamp.decode()}): lines were mixed, "
                    "or the clock was changed (give --timezone)"
                )
            return
        self.last_stamp = stamp

    def see_value(self, number: int, value: str, best: tuple[int, str] | None) -> None:
        """Note a finished trial's value and the best trial so far, as Optuna names it."""
        self.values[number] = value
        if best is None:
            return
        best_number, best_value = best
        known = self.values.get(best_number, self.claims.setdefault(best_number, best_value))
        if known != best_value or float(value) < float(best_value):
            self.distrust(
                f"trial {number} names trial {best_number} the best with {best_value}, which "
                "contradicts another line: trials of several studies were mixed"
            )

    def distrust(self, reason: str) -> None:
        """Say why none of the trials can be trusted; the first reason stands."""
        self.disorder = self.disorder or reason

    def taint_open(self, problem: str) -> None:
        """A line that cannot be read may belong to any of the open trials."""
        for trial in self.open.values():
            trial.problems.append(problem)

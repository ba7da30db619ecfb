"""One launch of an old study: which of its trials are open, and whether its lines hang together.

A line belongs to a study only by standing after the line that names it. So a launch whose lines
contradict each other (time runs backwards, a trial number comes twice, the best trial is another
one than before) was shuffled or mixed with another, and none of its trials can be trusted.

Where trial numbers are missing, lines are lost, and perhaps a heading with them: the trials behind
the gap are trusted only if one of them names a best trial that is known from before it. A trial
with a damaged line is such a gap, unless the runner names the study again at its end.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import pairwise

from recovery.records import LaunchId
from recovery.sources.legacy_log.trials import LegacyTrial
from recovery.sources.lines import milliseconds
from recovery.study_names import facts_of

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
    seen: dict[int, None] = field(default_factory=dict)
    """The numbers of all trials, in the order of their first lines."""
    open: dict[int, LegacyTrial] = field(default_factory=dict)
    closed: dict[int, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """First and last line of each trial that ended."""
    values: dict[int, str] = field(default_factory=dict)
    claims: dict[int, str] = field(default_factory=dict)
    """Value of each trial that was called the best."""
    last_stamp: bytes | None = None
    disorder: str | None = None
    forced_dropout: tuple[tuple[float, float], bytes, int] | None = None
    """A line of a forced dropout that waits for its trial: values, text, line number."""
    is_confirmed: bool = False
    """Whether the line after its last trial names the study, too."""
    last_error: str | None = None
    """The last line of the last traceback."""
    n_trials: int = 0
    """How many trials the script said that it starts."""
    first_number: int | None = 0
    """The number that the first trial must have; None where it may be any."""
    named_best: dict[int, int] = field(default_factory=dict)
    """Which trial each finished trial's line calls the best so far."""
    suspect: set[int] = field(default_factory=set)
    """Trials of which a line cannot be read or belongs to another: the log may be cut there."""
    sampled: dict[frozenset[str], list[int]] = field(default_factory=dict)
    """Finished trials by the names of their parameters."""
    without_start: set[int] = field(default_factory=set)
    """Trials that ended, but whose first line was not there."""
    lowest: float = math.inf
    """The lowest value of all trials so far."""

    @property
    def is_fresh(self) -> bool:
        """Whether no trial has been seen yet."""
        return not self.seen

    def see_name(self, name: str) -> None:
        """Note another line that names the study."""
        known = (self.study_name, self.logged_name)
        if name == self.study_name and not self.is_fresh:
            self.is_confirmed = True
        elif self.study_name is not None and name not in known and facts_of(name).budget:
            self.distrust(f"its lines name two studies, {self.study_name} and {name[:200]}")

    def see_time(self, stamp: bytes, zone: tzinfo) -> None:
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
        self.named_best[number] = best_number
        known = self.values.get(best_number, self.claims.setdefault(best_number, best_value))
        self.lowest = min(self.lowest, float(value), float(best_value))
        if known != best_value or self.lowest < float(best_value):
            self.distrust(
                f"trial {number} names trial {best_number} the best with {best_value}, which "
                "contradicts another line: trials of several studies were mixed"
            )

    def see_params(self, number: int, names: Iterable[str]) -> None:
        """Note which parameters a finished trial has; a forced one lacks its arch_idx."""
        self.sampled.setdefault(frozenset(names) - {"arch_idx"}, []).append(number)

    def sampled_otherwise(self) -> Iterator[tuple[int, str]]:
        """Trials with other parameters than most, though all are sampled alike; and which."""
        usual = max(self.sampled, key=lambda names: len(self.sampled[names]), default=frozenset())
        for names, numbers in self.sampled.items():
            if names != usual:
                yield from ((number, ", ".join(sorted(names ^ usual))) for number in numbers)

    def distrust(self, reason: str) -> None:
        """Say why none of the trials can be trusted; the first reason stands."""
        self.disorder = self.disorder or reason

    def before_gaps(self) -> list[int]:
        """Finished trials whose last line may have been joined with a later one's.

        They stand before missing numbers, end the launch too early, or name a best trial to come.
        """
        numbers = list(self.seen)
        found = [n for n in numbers if self.named_best.get(n, n) not in self.seen]
        found = [n for n in found if self.named_best[n] > n]
        for number, following in pairwise(numbers):
            if following > number + 1 and number + 1 not in self.seen:
                found.append(number)
        if numbers and self.is_confirmed and numbers[-1] < self.n_trials - 1:
            found.append(numbers[-1])
        return [number for number in found if number in self.closed]

    def cut_off(self) -> list[int]:
        """Trials behind a gap in the numbers that nothing ties to the heading of the launch."""
        numbers = list(self.seen)
        expected = numbers[0] if self.first_number is None and numbers else self.first_number
        tied: set[int] = set()
        loose: list[int] = []
        for number in numbers:
            is_damaged = number in self.suspect or number in self.without_start
            if number == expected and not loose and (self.is_confirmed or not is_damaged):
                tied.add(number)
            else:
                loose.append(number)
                known = {*tied, *(self.named_best[n] for n in tied if n in self.named_best)}
                if self.named_best.get(number) in known and number not in self.suspect:
                    tied.update(loose)
                    loose = []
            expected = number + 1
        return loose

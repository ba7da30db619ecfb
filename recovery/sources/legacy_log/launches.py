"""One launch of an old study: which of its trials are open, and whether its lines hang together.

A line belongs to a study only by standing after the line that names it. So a launch whose lines
contradict each other (time runs backwards, a trial number comes twice, the best trial is another
one than before) was shuffled or mixed with another, and none of its trials can be trusted.

Where trial numbers are missing, lines are lost, and perhaps a heading with them: the trials behind
the gap are trusted only if one of them names a best trial that is known from before it. A trial
with a damaged line is such a gap, unless the runner names the study again at its end. Where none of
the trials has a first line that can be read, nothing was damaged: the program wrote them otherwise.
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

_CUT_OFF = "lines before it are lost, and with them perhaps the heading of its study"
_UNREAD = "its trial line (line {}) cannot be read, and lines may be lost where it stands"


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
    forced_dropout: tuple[tuple[float, float] | None, bytes, int] | None = None
    """A line of a forced dropout that waits for its trial: values, where they can be read, text,
    line number."""
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
    unread_starts: dict[int, int] = field(default_factory=dict)
    """Trials whose first line is there but cannot be read, and its line number."""
    sampled: dict[frozenset[str], list[int]] = field(default_factory=dict)
    """Finished trials by the names of their parameters."""
    failed: dict[int, frozenset[str]] = field(default_factory=dict)
    """Parameters of failed trials, which may not have come to sample all."""
    without_start: set[int] = field(default_factory=set)
    """Trials that ended, but whose first line was not there."""
    lowest: float = math.inf
    """The lowest value of all trials so far."""
    highest: float = -math.inf
    maximises: str | None = None
    """Which trial's line says that a higher value is better."""
    minimises: bool = False
    """Whether some line says that a lower value is better."""
    ends_twice: int | None = None
    """A trial that ends in two ways, one of which is another study's."""
    has_ended: bool = False
    """Whether a line behind its last trial says that the study is over, or why."""

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
        best_so_far = float(best_value)
        for each in (float(value), best_so_far):
            self.lowest = each if each < self.lowest else self.lowest
            self.highest = each if each > self.highest else self.highest
        if self.highest > best_so_far:
            self.minimises = True
        if self.lowest < best_so_far and self.maximises is None:
            self.maximises = f"trial {number} names trial {best_number} the best with {best_value}"
        if known != best_value or (self.maximises and self.minimises):
            self.distrust(
                f"trial {number} names trial {best_number} the best with {best_value}, which "
                "contradicts another line: trials of several studies were mixed"
            )

    def see_params(self, number: int, names: Iterable[str]) -> None:
        """Note which parameters a finished trial has; a forced one lacks its arch_idx."""
        self.sampled.setdefault(frozenset(names) - {"arch_idx"}, []).append(number)

    def see_failed_params(self, number: int, names: Iterable[str]) -> None:
        """Note which parameters a failed trial has."""
        self.failed[number] = frozenset(names) - {"arch_idx"}

    def sampled_otherwise(self) -> Iterator[tuple[int, str]]:
        """Trials with other parameters than most, though all are sampled alike; and which."""
        usual = max(self.sampled, key=lambda names: len(self.sampled[names]), default=frozenset())
        for names, numbers in self.sampled.items():
            if names != usual:
                yield from ((number, ", ".join(sorted(names ^ usual))) for number in numbers)
        for number, names in self.failed.items():
            if usual and not names <= usual:
                yield number, ", ".join(sorted(names - usual))

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
        if self.is_confirmed and not self.has_ended and numbers[-1:] < [self.n_trials - 1]:
            found += numbers[-1:]
        return [number for number in found if number in self.closed]

    def cut_off(self) -> dict[int, str]:
        """Trials that nothing ties to the heading of the launch, and why.

        They stand behind a gap in the numbers, or behind a line that is damaged or lost.
        """
        numbers = list(self.seen)
        damaged = set() if self._is_of_another_program() else self.suspect | self.without_start
        expected = numbers[0] if self.first_number is None and numbers else self.first_number
        tied: set[int] = set()
        loose: list[int] = []
        for number in numbers:
            is_sound = self.is_confirmed or number not in damaged
            if number == expected and not loose and is_sound:
                tied.add(number)
            else:
                loose.append(number)
                known = {*tied, *(self.named_best[n] for n in tied if n in self.named_best)}
                if self.named_best.get(number) in known and number not in self.suspect:
                    tied.update(loose)
                    loose = []
            expected = number + 1
        unread = self.unread_starts
        return {n: _UNREAD.format(unread[n]) if n in unread else _CUT_OFF for n in loose}

    def _is_of_another_program(self) -> bool:
        """Whether no trial has a first line that can be read, which no damage does."""
        numbers = set(self.seen)
        unread = set(self.unread_starts)
        return (
            len(numbers) > 1
            and numbers <= self.without_start
            and unread in (set(), numbers)
            and self.suspect <= unread
        )

"""How long a study will still take: an estimate from what was measured of it so far.

Nothing is read or written here. Who measures and who is told is in `forecast`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from mlproject.text.durations import duration
from mlproject.text.phrases import counted

TRIALS_FOR_A_SHARE = 3
"""Before so many trials have finished, none is taken to be pruned or to stop early."""
TRIALS_OF_THE_GRID = 10
"""What the sampler will choose costs what it has chosen so far, and so many times the mean of the
grid: it begins with about as many at random."""
_SAME_MACHINE = 2.0
"""Trials of earlier launches count unless they were so many times faster or slower."""


@dataclass(frozen=True, kw_only=True)
class EndedTrial:
    """What a finished trial tells of the others. Costs are those of an epoch, in any unit."""

    cost: float
    planned_epochs: int
    epochs_run: int
    seconds: float
    is_sampled: bool
    """Whether the sampler chose its architecture."""
    is_of_this_launch: bool


@dataclass(frozen=True, kw_only=True)
class TrialAtWork:
    """A trial in progress."""

    cost: float
    epochs_left: float
    epoch_seconds: float | None
    """None until some steps have been timed."""


@dataclass(frozen=True, kw_only=True)
class TrialAhead:
    """A trial that has not begun."""

    cost: float | None
    """None where the sampler will choose its architecture."""
    epochs: float


class Basis(IntEnum):
    """What an estimate is judged by, the surest last."""

    LAYER = 0
    """One layer alone, before anything was trained."""
    EARLIER_TRIALS = 1
    """Trials of other launches, which may have run on another machine."""
    THIS_LAUNCH = 2


_IN_WORDS = {
    Basis.LAYER: ", judged by one layer before the first step",
    Basis.EARLIER_TRIALS: ", judged by the trials of earlier launches",
    Basis.THIS_LAUNCH: "",
}


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """How long a study will still take, if nothing changes."""

    at_most_seconds: float
    """If no trial is pruned or stops early."""
    share: float | None
    """Of the planned epochs, what the finished trials ran; None while they are too few to tell."""
    n_finished: int
    """Trials that the share is of."""
    trials_left: int
    workers: int
    basis: Basis

    @property
    def seconds(self) -> float:
        """The estimate: at most, until it is known how many epochs trials run."""
        return self.at_most_seconds * (1.0 if self.share is None else self.share)

    def __str__(self) -> str:
        """Such as ``at most 42 min left``, or ``about 25 min left``."""
        word = "at most" if self.share is None else "about"
        return f"{word} {duration(self.seconds)} left"

    def explained(self, trial_seconds: float | None) -> str:
        """A line that says what it is judged by; a trial takes so long, if it is known."""
        where = "on this machine" if self.workers == 1 else f"with {self.workers} workers"
        trial = "" if trial_seconds is None else f"this trial at most {duration(trial_seconds)}, "
        if self.share is None:
            study = f"the study at most {duration(self.seconds)} {where}"
            why = "if no trial is pruned or stops early"
        else:
            study = f"the study about {duration(self.seconds)} {where}"
            study += f", at most {duration(self.at_most_seconds)}"
            trials = counted(self.n_finished, "trial")
            why = f"the {trials} so far ran {self.share:.0%} of their epochs"
        return f"time left: {trial}{study} ({why}{_IN_WORDS[self.basis]})"


def time_left(
    ended: Sequence[EndedTrial],
    at_work: Sequence[TrialAtWork],
    ahead: Sequence[TrialAhead],
    *,
    grid_cost: float,
    workers: int,
    guessed_speed: float | None = None,
) -> TimeLeft | None:
    """The estimate; None while nothing is known of the speed.

    Args:
        ended: the study's finished trials.
        at_work: those in progress.
        ahead: those that have not begun.
        grid_cost: mean cost of an epoch over all architectures.
        workers: trials at a time.
        guessed_speed: seconds for a unit of cost, used until something is measured.
    """
    found = _measured_speed(ended, at_work)
    if found is None and guessed_speed is None:
        return None
    speed, basis = found or (guessed_speed or 0.0, Basis.LAYER)
    typical = _typical_cost(ended, grid_cost)
    seconds = [
        *(trial.epochs_left * (trial.epoch_seconds or speed * trial.cost) for trial in at_work),
        *(
            trial.epochs * speed * (typical if trial.cost is None else trial.cost)
            for trial in ahead
        ),
    ]
    planned = sum(trial.planned_epochs for trial in ended)
    known = len(ended) >= TRIALS_FOR_A_SHARE and planned > 0
    return TimeLeft(
        # The longest trial ends no sooner, however many workers there are.
        at_most_seconds=max(sum(seconds) / workers, *seconds, 0.0),
        share=sum(trial.epochs_run for trial in ended) / planned if known else None,
        n_finished=len(ended),
        trials_left=len(seconds),
        workers=workers,
        basis=basis,
    )


def _measured_speed(
    ended: Sequence[EndedTrial], at_work: Sequence[TrialAtWork]
) -> tuple[float, Basis] | None:
    """Seconds for a unit of cost: as this launch runs, and earlier ones that ran like it."""
    now = [_point(trial) for trial in ended if trial.epochs_run and trial.is_of_this_launch]
    now += [(t.epoch_seconds, t.cost) for t in at_work if t.epoch_seconds is not None]
    earlier = [_point(trial) for trial in ended if trial.epochs_run and not trial.is_of_this_launch]
    if not now:
        return (_ratio(earlier), Basis.EARLIER_TRIALS) if earlier else None
    speed = _ratio(now)
    alike = [
        (seconds, cost)
        for seconds, cost in earlier
        if speed / _SAME_MACHINE <= seconds / cost <= speed * _SAME_MACHINE
    ]
    return _ratio(now + alike), Basis.THIS_LAUNCH


def _point(trial: EndedTrial) -> tuple[float, float]:
    return trial.seconds / trial.epochs_run, trial.cost


def _ratio(points: Sequence[tuple[float, float]]) -> float:
    return sum(seconds for seconds, _ in points) / sum(cost for _, cost in points)


def _typical_cost(ended: Sequence[EndedTrial], grid_cost: float) -> float:
    sampled = [trial.cost for trial in ended if trial.is_sampled]
    total = TRIALS_OF_THE_GRID * grid_cost + sum(sampled)
    return total / (TRIALS_OF_THE_GRID + len(sampled))

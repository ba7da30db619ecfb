"""How long a study will still take: an estimate from what was measured of it so far.

Nothing is read or written here. Who measures and who is told is in `forecast`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    is_measured: bool
    """False where no step was timed yet."""

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
        judged = "" if self.is_measured else ", judged by one layer before the first step"
        return f"time left: {trial}{study} ({why}{judged})"


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
    measured = _speed(ended, at_work)
    speed = measured if measured is not None else guessed_speed
    if speed is None:
        return None
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
        at_most_seconds=max(sum(seconds) / workers, *seconds, 0.0, 0.0),
        share=sum(trial.epochs_run for trial in ended) / planned if known else None,
        n_finished=len(ended),
        trials_left=len(seconds),
        workers=workers,
        is_measured=measured is not None,
    )


def _speed(ended: Sequence[EndedTrial], at_work: Sequence[TrialAtWork]) -> float | None:
    """Seconds for a unit of cost: as this launch runs, and earlier ones that ran like it."""
    timed = [trial for trial in ended if trial.epochs_run]
    points = {
        of_this_launch: [
            (trial.seconds / trial.epochs_run, trial.cost)
            for trial in timed
            if trial.is_of_this_launch is of_this_launch
        ]
        for of_this_launch in (True, False)
    }
    now, earlier = points[True], points[False]
    now += [(t.epoch_seconds, t.cost) for t in at_work if t.epoch_seconds is not None]
    if now:
        speed = _ratio(now)
        alike = (speed / _SAME_MACHINE, speed * _SAME_MACHINE)
        earlier = [p for p in earlier if alike[0] <= p[0] / p[1] <= alike[1]]
    return _ratio(now + earlier) if now or earlier else None


def _ratio(points: Sequence[tuple[float, float]]) -> float:
    return sum(seconds for seconds, _ in points) / sum(cost for _, cost in points)


def _typical_cost(ended: Sequence[EndedTrial], grid_cost: float) -> float:
    sampled = [trial.cost for trial in ended if trial.is_sampled]
    total = TRIALS_OF_THE_GRID * grid_cost + sum(sampled)
    return total / (TRIALS_OF_THE_GRID + len(sampled))

"""The training settings of one trial, and the table of the hyper-parameters among them.

`HYPERPARAMETERS` is the one place that says of each what it is called, what it can be, from which
range each version of the search space takes it, and how old logs print it. Params, trial log,
search, audit, recovery and study scripts follow from it. What a setting does is in the training
loop; how a sampler chooses it is in `mlproject.search`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlproject.training.recipe import RECIPES, TrainingRecipe

Number = int | float

FIRST_RECIPE = RECIPES[1]


@dataclass(frozen=True)
class Between:
    """A range of numbers, both ends included."""

    low: Number
    high: Number
    log: bool = False
    """Searched on a logarithmic scale."""

    @property
    def ends(self) -> tuple[Number, Number]:
        """The smallest and the largest value."""
        return self.low, self.high

    @property
    def mean(self) -> float:
        """The mean of what is drawn at random."""
        if self.log and self.low < self.high:
            return (self.high - self.low) / math.log(self.high / self.low)
        return (self.low + self.high) / 2

    def nearest(self, value: Number) -> Number:
        """The value of the range that is nearest."""
        return min(max(value, self.low), self.high)

    def share(self, value: Number) -> float:
        """Where in the range a value lies: 0 at the lower end, 1 at the upper one."""
        if self.low == self.high:
            return 0.0
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}" + (" log" if self.log else "")


@dataclass(frozen=True)
class OneOf:
    """A choice of numbers."""

    values: tuple[Number, ...]

    @property
    def ends(self) -> tuple[Number, Number]:
        """The smallest and the largest value."""
        return min(self.values), max(self.values)

    @property
    def mean(self) -> float:
        """The mean of what is drawn at random."""
        return sum(self.values) / len(self.values)

    def nearest(self, value: Number) -> Number:
        """The choice that is nearest."""
        return min(self.values, key=lambda choice: abs(choice - value))

    def share(self, value: Number) -> float:
        """As of `Between`."""
        return Between(*self.ends).share(value)

    def __str__(self) -> str:
        return " ".join(map(str, self.values))


Range = Between | OneOf


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """One number that decides how a network is trained."""

    name: str
    """Its field in `TrainingSettings`, its param in MLflow and its name for the sampler, the old
    program's included."""
    type: type[int] | type[float]
    least: Number
    """No training can have less."""
    most: float = math.inf
    """An old log that tells of more is damaged."""
    searched: Mapping[int, Range] = field(default_factory=dict)
    """The range from which each version of the search space takes it; the trials of versions that
    are not there do not have it. Empty: the same for all trials of a study."""
    assumed: Number | None = None
    """What a trial is trained with again whose old log does not say it; None: it is not."""
    legacy_decimals: int | None = None
    """How many decimals old logs print on the line of a trial; None: all digits."""


HYPERPARAMETERS = (
    Hyperparameter(
        name="learning_rate",
        type=float,
        least=0,
        most=1,
        searched={1: Between(1e-4, 1e-3, log=True), 2: Between(3e-5, 1e-3, log=True)},
        legacy_decimals=6,
    ),
    Hyperparameter(
        name="epochs",
        type=int,
        least=1,
        searched={1: Between(50, 100), 2: Between(5, 50, log=True)},
        assumed=100,  # the longest training of search space 1
    ),
    Hyperparameter(name="batch_size", type=int, least=1, assumed=256),
    Hyperparameter(
        name="weight_decay",
        type=float,
        least=0,
        most=1,
        searched={1: Between(1e-5, 1e-3, log=True), 2: Between(1e-3, 0.3, log=True)},
        assumed=1e-4,
    ),
    Hyperparameter(
        name="warmup_steps",
        type=int,
        least=0,
        searched={1: OneOf((100, 200, 300, 500))},
        assumed=200,
    ),
    Hyperparameter(
        name="dropout",
        type=float,
        least=0,
        most=0.99,
        searched={1: Between(0.1, 0.3), 2: Between(0.0, 0.5)},
        assumed=0.2,
        legacy_decimals=2,
    ),
)

SEARCH_SPACE_VERSIONS = tuple(sorted({v for row in HYPERPARAMETERS for v in row.searched}))
"""A range is never edited once trials were drawn from it: a change is a new version."""
CURRENT_SEARCH_SPACE = SEARCH_SPACE_VERSIONS[-1]


def hyperparameters_of(search_space: int) -> tuple[Hyperparameter, ...]:
    """The hyper-parameters that a trial of this version has: what is searched, and what is the
    same for all trials of a study; all of them where the version is not known."""
    if search_space not in SEARCH_SPACE_VERSIONS:
        return HYPERPARAMETERS
    return tuple(row for row in HYPERPARAMETERS if not row.searched or search_space in row.searched)


def searched_in(search_space: int) -> tuple[Hyperparameter, ...]:
    """The hyper-parameters that a version of the search space chooses, in the order in which a
    sampler is asked for them."""
    return tuple(row for row in HYPERPARAMETERS if search_space in row.searched)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What, beside the architecture, decides how one model is trained."""

    learning_rate: float
    """Peak of the schedule: linear warm-up, then half a cosine down to zero."""
    epochs: int
    batch_size: int
    """Windows per step."""
    weight_decay: float
    dropout: float
    seed: int
    """Fixes the initial weights, the order of the windows and the dropout masks."""
    warmup_steps: int = 0
    """Steps over which the rate rises."""
    recipe: TrainingRecipe = FIRST_RECIPE
    patience_epochs: int = 10
    """Epochs without a better validation loss after which training ends early."""
    gradient_clip_norm: float = 1.0
    max_steps: int = 0
    """A cap on the batches of an epoch, of training and of validation each; 0 is none."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "patience_epochs", "gradient_clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be positive")
        for name, least in {
            **{row.name: row.least for row in HYPERPARAMETERS},
            "max_steps": 0,
        }.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least {least}")
        if not self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}: it must be in [0, 1)")

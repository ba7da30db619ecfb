"""The settings of a study, and which of them make it the study it is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Self, TypedDict, TypeVar

from mlproject.data.labels import LabelPrice, Task, parse_horizon, parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import MAX_VALIDATION_WINDOWS, Thinning
from mlproject.errors import UserError
from mlproject.models.arch_grid import GRID_VERSIONS
from mlproject.models.budget import Budget, parse_budget
from mlproject.tracking.experiment_names import study_prefix
from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
from mlproject.training.settings import SEARCH_SPACE_VERSIONS

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\- ]{0,99}", re.ASCII)
_OPEN_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "grid_version": int,
    "search_space": int,
    "validation": str,
    "optimiser": OptimiserName,
    "precision": Precision,
}
"""What a user may leave open, for the study to go on with what it began with."""


class BadSetting(UserError):
    """A setting of the study that cannot be used."""


_Choice = TypeVar("_Choice", bound=StrEnum)


class WhichStudy(TypedDict):
    """The settings that say which study of an experiment is meant."""

    budget: Budget
    horizon_days: int
    task: Task


def parse_study(budget: str | Budget, horizon: str | int, task: str) -> WhichStudy:
    """Read what a user writes.

    Raises:
        UserError: names what cannot be read, and what could.
    """
    return {
        "budget": parse_budget(budget) if isinstance(budget, str) else budget,
        "horizon_days": parse_horizon(horizon),
        "task": parse_task(task),
    }


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Everything a user decides about a study."""

    experiment: str
    """Name of the MLflow experiment, with which the study's name begins (see `study_prefix`)."""
    budget: Budget
    horizon_days: int
    task: Task
    label_price: LabelPrice = "close"
    """Which price of the days ahead has to reach the threshold."""
    n_trials: int = 50
    """Trials of the study in all, over all its launches."""
    max_epochs: int = 0
    """A cap on the epochs that the search may choose; 0 is none."""
    max_steps: int = 0
    """A cap on the batches of an epoch, of training and of validation each; 0 is none."""
    batch_size: int = 256
    """Windows per optimiser step, the same for every trial."""
    seed: int = 0
    grid_version: int | None = None
    """Of the architecture grid; None takes what the study began with, or the current one."""
    search_space: int | None = None
    """The version of ranges, sampler and pruner; None as for `grid_version`."""
    warm_start: bool = True
    """Whether a new study begins with what smaller ones of its task recommend."""
    validation: Literal["spread", "earliest"] | None = None
    """Which validation windows are kept where `max_steps` allows fewer than there are: some of all
    days, or the earliest, as in studies that began before. None as for `grid_version`."""
    optimiser: OptimiserName | None = None
    """None takes what the study began with, or what the memory plan says."""
    precision: Precision | None = None
    """As `optimiser`."""

    def __post_init__(self) -> None:
        if not _SAFE_NAME.fullmatch(self.experiment):
            raise BadSetting(
                f"experiment name {self.experiment!r} cannot name a study: use up to 100 letters, "
                "digits, spaces and the signs _ . -"
            )
        at_least = {"n_trials": 1, "max_epochs": 0, "max_steps": 0, "batch_size": 1, "seed": 0}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value < least:
                raise BadSetting(f"{name} is {value}: it must be at least {least}")
        versions = {
            "grid version": (self.grid_version, GRID_VERSIONS),
            "search space": (self.search_space, SEARCH_SPACE_VERSIONS),
        }
        for name, (asked, known) in versions.items():
            if asked is not None and asked not in known:
                there = ", ".join(map(str, known))
                raise BadSetting(f"there is no {name} {asked}: there are {there}")

    @classmethod
    def parse(
        cls,
        budget: str | Budget,
        horizon: str | int,
        task: str = "threshold_1pct",
        *,
        experiment: str | None = None,
        optimiser: str | None = None,
        precision: str | None = None,
        **settings: Any,
    ) -> Self:
        """The settings as a user writes them, in the words of the command line.

        >>> from mlproject import StudySettings
        >>> settings = StudySettings.parse("2M", horizon=3, n_trials=20)
        >>> settings.study_name
        'phase6a_2M_h3_threshold_1pct'
        >>> settings.budget.parameters
        2000000

        Args:
            budget: such as ``2M`` or ``750k``.
            horizon: trading days within which the price has to rise.
            task: by how much, such as ``threshold_1pct``.
            experiment: the MLflow experiment; see `default_experiment` for None.
            optimiser: ``adamw``, ``adafactor``, or ``auto``, which is None.
            precision: ``fp32``, ``bf16``, or ``auto``, which is None.
            **settings: the other fields by name.

        Raises:
            UserError: names what cannot be read, and what could.
        """
        from mlproject.tracking.store import default_experiment

        which = parse_study(budget, horizon, task)
        return cls(
            experiment=experiment or default_experiment(),
            **which,
            optimiser=_parse_choice(OptimiserName, "optimiser", optimiser),
            precision=_parse_choice(Precision, "precision", precision),
            **settings,
        )

    @property
    def study_name(self) -> str:
        """Such as ``phase6a_2B_h3_threshold_1pct``."""
        return f"{study_prefix(self.experiment)}_{self.name_suffix}"

    @property
    def name_suffix(self) -> str:
        """What a study is called by within its experiment, such as ``2B_h3_threshold_1pct``."""
        return f"{self.budget.name}_h{self.horizon_days}_{self.task.name}"

    @property
    def validation_thinning(self) -> Thinning:
        """Which validation windows the study has."""
        allowed = self.max_steps * self.batch_size or MAX_VALIDATION_WINDOWS
        return Thinning(
            most=min(allowed, MAX_VALIDATION_WINDOWS), earliest=self.validation == "earliest"
        )

    def as_begun(self, identity: Mapping[str, str | int]) -> Self:
        """The settings with what they leave open as the study began; unchanged if it has not."""
        left_open = {
            name: kind(identity[name])
            for name, kind in _OPEN_SETTINGS.items()
            if getattr(self, name) is None and name in identity
        }
        return replace(self, **left_open)

    def identity(
        self, markets: Markets, n_features: int, plan: TrainingPlan
    ) -> dict[str, str | int]:
        """What all trials of a study must share to be comparable, readable in an error line."""
        assert self.grid_version is not None and self.search_space is not None
        return {
            "experiment": self.experiment,
            "budget": self.budget.name,
            "horizon": self.horizon_days,
            "task": self.task.name,
            "label_price": self.label_price,
            "data": markets.name,
            "data_digest": markets.digest,
            "n_features": n_features,
            "grid_version": self.grid_version,
            "search_space": self.search_space,
            "batch_size": self.batch_size,
            "max_epochs": self.max_epochs,
            "max_steps": self.max_steps,
            "validation": self.validation or "spread",
            "optimiser": plan.optimiser.value,
            "precision": plan.precision.value,
            "seed": self.seed,
        }


def _parse_choice(kind: type[_Choice], setting: str, name: str | None) -> _Choice | None:
    if name in (None, "auto"):
        return None
    try:
        return kind(name)
    except ValueError as error:
        known = ", ".join(kind)
        raise BadSetting(f"{setting} is {name!r}: use auto, {known}") from error

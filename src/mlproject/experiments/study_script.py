"""What a generated study script states, and whether it is still true.

A script only states; nothing in it computes. What it states of the search (architectures, ranges,
forced extremes, sampler) follows from the program, so a script that says otherwise was written for
another program and must not run under the same study name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mlproject.errors import UserError

if TYPE_CHECKING:
    from mlproject.search.study_settings import StudySettings


class OutdatedScript(UserError):
    """A script states what the program no longer does."""


@dataclass(frozen=True, kw_only=True)
class StudyScript:
    """A study, every setting in plain sight."""

    experiment: str
    budget: str
    horizon_days: int
    task: str
    label_price: str
    data: str
    n_trials: int
    max_epochs: int
    batch_size: int
    seed: int
    grid_version: int
    n_features: int
    search_space: int
    """The version of ranges, sampler and pruner."""
    search_ranges: Mapping[str, str]
    """What the search may choose from, by name."""
    forced_extremes: Mapping[str, str]
    """The architectures tried first, by label, in the order in which they are tried."""
    sampler: Mapping[str, str | int]
    pruner: Mapping[str, str | int]


def state_study(settings: "StudySettings", data: str = "sp500") -> StudyScript:
    """All that is to be said of a study before it runs; what is left open is the current version.

    Raises:
        UnknownBudget: no architecture of the grid version fits the budget.
    """
    from mlproject.data.features import FEATURES
    from mlproject.models.extremes import distinct_extremes
    from mlproject.search.sampler import PRUNERS, SAMPLERS
    from mlproject.search.search_space import SearchSpace

    space = SearchSpace.of(settings, len(FEATURES))
    grid = space.grid
    values = {name: grid.values(name) for name in ("d_model", "n_layers", "n_heads", "d_ff")}
    architectures = {
        "architectures": str(len(grid.architectures)),
        **{name: " ".join(map(str, of_grid)) for name, of_grid in values.items()},
    }
    return StudyScript(
        experiment=settings.experiment,
        budget=settings.budget.name,
        horizon_days=settings.horizon_days,
        task=settings.task.name,
        label_price=settings.label_price,
        data=data,
        n_trials=settings.n_trials,
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        grid_version=grid.version,
        n_features=len(FEATURES),
        search_space=space.version,
        search_ranges=architectures | space.describe(),
        forced_extremes={
            label: f"{a.d_model} wide, {a.n_layers} layers, {a.n_heads} heads, d_ff {a.d_ff}, "
            f"{a.param_count:,} params"
            for label, a in distinct_extremes(grid).items()
        },
        sampler=SAMPLERS[space.version].as_dict(),
        pruner=PRUNERS[space.version].as_dict(),
    )


def check_script(script: StudyScript) -> None:
    """Hold a script against the program.

    Raises:
        OutdatedScript: names what the script states otherwise.
        UserError: a setting that cannot be used.
    """
    from mlproject.search.study_settings import StudySettings, parse_study

    today = state_study(
        StudySettings(
            experiment=script.experiment,
            **parse_study(script.budget, script.horizon_days, script.task),
            label_price=script.label_price,  # type: ignore[arg-type] # the option checks it
            n_trials=script.n_trials,
            max_epochs=script.max_epochs,
            batch_size=script.batch_size,
            seed=script.seed,
            grid_version=script.grid_version,
            search_space=script.search_space,
        ),
        script.data,
    )
    for name in (field.name for field in fields(StudyScript)):
        stated, true = getattr(script, name), getattr(today, name)
        if stated != true:
            raise OutdatedScript(
                f"the script states {name} {_shown(stated, true)}, and the program has "
                f"{_shown(true, stated)}: write it anew with 'mlflow run . -e regenerate'"
            )


def _shown(value: object, other: object) -> str:
    """A value; of a table only what is not in the other one too."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        rows = {k: v for k, v in value.items() if other.get(k) != v}
        return ", ".join(f"{k}: {v}" for k, v in rows.items()) or "without that"
    return str(value)

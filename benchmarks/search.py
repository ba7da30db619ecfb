"""What a search finds, and what it says of that, on tables of real trainings.

    python -m benchmarks.search [--table NAME] [--replays N]

replays every search below on the trainings that `benchmarks.trainings` made, and prints a Markdown
table. The expected loss of a configuration is the mean over the seeds of the table; a trial has its
mean curve, moved by the luck of its seed. That is drawn anew in every replay, as large as the table
has it: a part that all trials of one seed share, one that those of one width share, and one of its
own. A replay asks the sampler and the pruner as a study does.

*Regret* is the expected loss of what a search names as the best above the lowest there is;
*optimism* by how much the loss that it reports is too good; *as good as before* how often what it
names is at least as good as what `BEFORE` named in the replay of the same number.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import optuna
from benchmarks.common_seeds import luck_of
from benchmarks.search_made import Found, architecture_of, cells_of, loss_of
from benchmarks.trainings import (
    GRID_VERSION,
    HORIZON_DAYS,
    SEARCH_SPACE,
    TABLES,
    TASK,
    Table,
    Training,
    read_trainings,
)
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from mlproject.models.arch_grid import Architecture, ArchitectureGrid
from mlproject.models.budget import parse_budget
from mlproject.search import replicates
from mlproject.search.recommendation import rank_architectures
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.sampler import make_pruner, make_sampler
from mlproject.search.search_space import SearchSpace, derived_seed
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import METRICS_ATTR
from mlproject.training.settings import OneOf, Range, TrainingSettings

N_TRIALS = 50
N_FEATURES = 25
SETTING = "learning_rate"
"""The param that names a setting of the table: each has another rate."""
_HYPERBAND = {"min_resource": 2, "reduction_factor": 3}

Floats = npt.NDArray[np.float64]
MakeSampler = Callable[[SearchSpace, int], BaseSampler]
"""The sampler of a trial, of the space and the index from which it is seeded."""


@dataclass(frozen=True)
class TableSpace(SearchSpace):
    """A search space that has just what a table holds."""

    rates: tuple[float, ...]

    @property
    def ranges(self) -> dict[str, Range]:
        """The settings of the table, by their rates."""
        return {SETTING: OneOf(self.rates)}


class World:
    """A table as what searches can be asked to find the best of."""

    def __init__(self, table: Table, trainings: Sequence[Training]) -> None:
        self.rates = tuple(setting.learning_rate for setting in table.settings)
        self.mean_epochs = float(np.mean([setting.epochs for setting in table.settings]))
        """Of a full training."""
        shapes = sorted({(t.arch_idx, t.d_model, t.n_layers, t.n_heads, t.d_ff) for t in trainings})
        self.grid = ArchitectureGrid(
            version=GRID_VERSION,
            budget=parse_budget(table.budget),
            num_features=N_FEATURES,
            architectures=tuple(
                Architecture(
                    arch_idx=place,
                    d_model=d_model,
                    n_layers=n_layers,
                    n_heads=n_heads,
                    d_ff=d_ff,
                    param_count=0,
                )
                for place, (_, d_model, n_layers, n_heads, d_ff) in enumerate(shapes)
            ),
        )
        """The architectures of the table, numbered from 0."""
        places = {arch_idx: place for place, (arch_idx, *_) in enumerate(shapes)}
        curves: dict[tuple[int, float], list[Floats]] = {}
        for each in trainings:
            cell = places[each.arch_idx], self.rates[each.setting]
            curves.setdefault(cell, []).append(np.array(each.val_losses))
        self._curves = {cell: _mean_curve(of_cell) for cell, of_cell in curves.items()}
        self.luck = luck_of(trainings)

    def curve(self, architecture: Architecture, rate: float) -> Floats:
        """The expected loss after each epoch."""
        return self._curves[architecture.arch_idx, rate]

    def expected_loss(self, architecture: Architecture, rate: float) -> float:
        """The lowest of these."""
        return float(self.curve(architecture, rate).min())

    @cached_property
    def best(self) -> tuple[Architecture, float]:
        """Architecture and rate of the lowest expected loss."""
        return min(
            ((each, rate) for each in self.grid.architectures for rate in self.rates),
            key=lambda cell: self.expected_loss(*cell),
        )


def _mean_curve(curves: Sequence[Floats]) -> Floats:
    """The mean of some curves, whose lowest value is the mean of their lowest values."""
    mean = np.mean(curves, axis=0)
    return np.asarray(mean - mean.min() + np.mean([curve.min() for curve in curves]))


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to search, and to name the best."""

    name: str
    sampler: MakeSampler
    pruner: Callable[[], BasePruner] = NopPruner
    replicated: float | None = None
    """The share of the trials beyond the extremes that are replicates; None: each trial has a seed
    of its own, and the trial of the lowest loss is the best."""
    n_trials: int = N_TRIALS
    patience: int | None = None
    """Epochs without a better loss after which a training ends; None: a quarter of its epochs."""


@dataclass(frozen=True, kw_only=True)
class Replayed(Found):
    """What one search came to, and how many epochs it took."""

    epochs: int


def _optuna(make: Callable[..., BaseSampler]) -> MakeSampler:
    return lambda space, index: make(seed=derived_seed(space.settings.seed, index))


def _of_version(version: int) -> MakeSampler:
    return lambda space, index: make_sampler(version, space.settings.seed, index)


BEFORE = Scheme(
    name="before: search space 1, lowest loss",
    sampler=_of_version(1),
    pruner=partial(make_pruner, 1),
    patience=TrainingSettings.patience_epochs,
)
OLD = Scheme(
    name="the old program: full trainings, lowest loss",
    sampler=_optuna(partial(TPESampler, multivariate=False, constant_liar=False)),
    patience=10**6,
)
SCHEMES = (
    BEFORE,
    OLD,
    Scheme(name="random search", sampler=_optuna(RandomSampler)),
    Scheme(name="Optuna's TPE as it comes", sampler=_optuna(TPESampler)),
    Scheme(name="Optuna's GP sampler as it comes", sampler=_optuna(GPSampler)),
    Scheme(
        name="successive halving",
        sampler=_optuna(TPESampler),
        pruner=partial(SuccessiveHalvingPruner, **_HYPERBAND),
    ),
    Scheme(
        name="Hyperband",
        sampler=_optuna(TPESampler),
        pruner=partial(HyperbandPruner, max_resource=20, **_HYPERBAND),
    ),
    *(
        Scheme(
            name=f"this project, {share:.0%} replicates, {n_trials} trials",
            sampler=_of_version(SEARCH_SPACE),
            replicated=share,
            n_trials=n_trials,
        )
        for n_trials in (N_TRIALS, N_TRIALS // 3)
        for share in (0.1, 0.3, 0.5)
    ),
)


def space_of(world: World, number: int, n_trials: int) -> TableSpace:
    """The search space of one replay."""
    return TableSpace(
        grid=world.grid,
        settings=StudySettings(
            experiment="replay",
            budget=world.grid.budget,
            horizon_days=HORIZON_DAYS,
            task=TASK,
            n_trials=n_trials,
            seed=number,
            search_space=SEARCH_SPACE,
        ),
        rates=world.rates,
    )


def search(scheme: Scheme, world: World, number: int) -> Replayed:
    """One search."""
    space = space_of(world, number, scheme.n_trials)
    rng = np.random.default_rng((number, 1))
    of_seed = rng.normal(0, world.luck.of_all, scheme.n_trials)
    of_width = {
        width: rng.normal(0, world.luck.of_width, scheme.n_trials)
        for width in world.grid.values("d_model")
    }
    study = optuna.create_study(study_name=str(number), pruner=scheme.pruner())
    epochs = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal epochs
        space.suggest_params(trial)
        architecture, rate = architecture_of(trial, space), trial.params[SETTING]
        seed = trial.number
        if scheme.replicated is not None:
            seed = space.seed_index(trial.number, trial.user_attrs)
        luck = of_seed[seed] + of_width[architecture.d_model][seed]
        curve = world.curve(architecture, rate) + luck + rng.normal(0, world.luck.alone)
        patience = scheme.patience or max(3, math.ceil(len(curve) / 4))
        trial.set_user_attr(METRICS_ATTR, {})  # as every trial of the program has
        best_epoch, best_loss = 0, math.inf
        for epoch, loss in enumerate(map(float, curve), 1):
            epochs += 1
            if loss < best_loss:
                best_epoch, best_loss = epoch, loss
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
            if epoch - best_epoch >= patience:
                break
        return best_loss

    with patch.object(replicates, "REPLICATED_SHARE", scheme.replicated or 0.0):
        remaining = RemainingTrials(study, space)
        while remaining.n_to_start():
            study.sampler = scheme.sampler(space, remaining.next_seed_index())
            study.optimize(objective, n_trials=1)
    low = high = math.nan
    if scheme.replicated is None:
        named = study.best_trial
        said = loss_of(named)
    else:
        first = rank_architectures(study.trials, space)[0]
        named, said = study.trials[first.trial], first.val_loss
        low, high = first.low, first.high
    architecture = architecture_of(named, space)
    truth = world.expected_loss(architecture, named.params[SETTING])
    return Replayed(
        regret=truth - world.expected_loss(*world.best),
        optimism=truth - said,
        covered=math.nan if math.isnan(low) else float(low <= truth <= high),
        right_shape=float(architecture.shape == world.best[0].shape),
        epochs=epochs,
    )


def compare(schemes: Sequence[Scheme], world: World, numbers: Sequence[int]) -> Iterator[str]:
    """The lines of the Markdown table, each as soon as it is known."""
    yield (
        "| search | regret | its standard error | optimism | interval holds | right shape "
        "| epochs of full trainings | as good as before |"
    )
    yield "|---" * 8 + "|"
    full = N_TRIALS * world.mean_epochs
    before = [search(BEFORE, world, number) for number in numbers]
    for scheme in schemes:
        found = before
        if scheme is not BEFORE:
            found = [search(scheme, world, number) for number in numbers]
        as_good = [one.regret <= other.regret for one, other in zip(found, before, strict=True)]
        cells = (
            scheme.name,
            *cells_of(found),
            f"{np.mean([each.epochs for each in found]) / full:.0%}",
            f"{np.mean(as_good):.0%}",
        )
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, default="sp500_500k")
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first replay")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = TABLES[options.table]
    world = World(table, read_trainings(table))
    luck = ", ".join(f"{name} {value:.5f}" for name, value in vars(world.luck).items())
    print(f"luck of a seed: {luck}\n")
    for line in compare(SCHEMES, world, range(options.first, options.first + options.replays)):
        print(line, flush=True)


if __name__ == "__main__":
    main()

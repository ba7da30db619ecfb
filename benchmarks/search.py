"""How many epochs a search needs, beside the old program's, on tabulated real results.

    python -m benchmarks.search

replays every scheme below on the table that `benchmarks.search_table` made, once for each seed, and
prints a Markdown table. A replay asks the sampler and the pruner exactly as a study does; only the
losses are looked up instead of trained. The old program's best loss after its 50 full trials is
what a replay with the same seed has to reach.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import optuna
from benchmarks.search_table import BUDGET, EPOCHS, Cell, Curve, grid_of_table, read_table

from mlproject.data.labels import parse_task
from mlproject.models.arch_grid import Architecture
from mlproject.models.budget import parse_budget
from mlproject.models.extremes import distinct_extremes
from mlproject.search.sampler import PRUNERS, make_pruner, make_sampler
from mlproject.search.search_space import SearchSpace, derived_seed
from mlproject.search.study_settings import StudySettings
from mlproject.search.trial_queue import enqueue_missing_trials
from mlproject.training.settings import HYPERPARAMETERS, Between, TrainingSettings

N_TRIALS = 50
FULL_EPOCHS = N_TRIALS * EPOCHS
"""What the old program spends on its trials."""

SEARCH_SPACE = 1
_PRUNER = PRUNERS[SEARCH_SPACE].arguments
_EPOCHS = next(row.searched[SEARCH_SPACE] for row in HYPERPARAMETERS if row.name == "epochs")
assert isinstance(_EPOCHS, Between)
STUDY_EPOCHS = (_EPOCHS.low + _EPOCHS.high) / 2
"""Epochs of a study's trial, on average. The table's trials go through the same schedule in fewer,
so that the pruner and the early stopping are given each table epoch as so many of a study's."""

PATIENCE = math.ceil(TrainingSettings.patience_epochs * EPOCHS / STUDY_EPOCHS)
"""The training loop's early stopping, in epochs of the table."""

Suggest = Callable[[optuna.Trial, SearchSpace], Architecture]
MakeSampler = Callable[[int, int], optuna.samplers.BaseSampler]


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to search."""

    name: str
    suggest: Suggest
    sampler: MakeSampler
    """Of the study's seed and its trials so far."""
    pruner: Callable[[], optuna.pruners.BasePruner]
    patience: int = EPOCHS
    """Epochs of the table without a better loss after which a trial ends."""
    enqueues_extremes: bool = True


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What one search came to."""

    best_loss: float
    """After `N_TRIALS` trials; of the complete ones, as the ranking of a study has it."""
    epochs: int
    """Spent on these."""
    epochs_to_target: float
    """Spent when a trial that reaches the target was complete; infinite when none was before the
    epochs of the old program's full trials were spent."""


@dataclass(frozen=True)
class Results:
    """The table and the space it is a table of."""

    curves: Mapping[Cell, Curve]
    learning_rates: tuple[float, ...]
    space: SearchSpace


def suggest_as_project(trial: optuna.Trial, space: SearchSpace) -> Architecture:
    """As a study does: a shape and a number of heads."""
    return space.suggest_architecture(trial)


def suggest_as_before(trial: optuna.Trial, space: SearchSpace) -> Architecture:
    """As the old program did: the extremes behind the sampler's back, then `arch_idx`."""
    extremes = tuple(distinct_extremes(space.grid).values())
    if trial.number < len(extremes):
        return extremes[trial.number]
    architectures = space.grid.architectures
    return architectures[trial.suggest_int("arch_idx", 0, len(architectures) - 1)]


def sampler_as_before(study_seed: int, trials_so_far: int) -> optuna.samplers.BaseSampler:
    """TPE as it was before Optuna 5: each parameter for itself."""
    seed = derived_seed(study_seed, trials_so_far)
    return optuna.samplers.TPESampler(multivariate=False, constant_liar=False, seed=seed)


def random_sampler(study_seed: int, trials_so_far: int) -> optuna.samplers.BaseSampler:
    """No learning at all."""
    return optuna.samplers.RandomSampler(seed=derived_seed(study_seed, trials_so_far))


OLD = Scheme(
    name="the old program: full trials, arch_idx",
    suggest=suggest_as_before,
    sampler=sampler_as_before,
    pruner=optuna.pruners.NopPruner,
    enqueues_extremes=False,
)
_project = partial(
    Scheme,
    suggest=suggest_as_project,
    sampler=partial(make_sampler, SEARCH_SPACE),
    pruner=partial(make_pruner, SEARCH_SPACE),
    patience=PATIENCE,
)
_RUNGS: Mapping[str, int] = {"min_resource": round(STUDY_EPOCHS / EPOCHS), "reduction_factor": 3}
SCHEMES = (
    _project(name="this project"),
    _project(
        name="pruning from two fifths of a trial on",
        pruner=partial(
            optuna.pruners.MedianPruner,
            **_PRUNER | {"n_warmup_steps": round(STUDY_EPOCHS * 2 / 5)},
        ),
    ),
    _project(name="no pruner", pruner=optuna.pruners.NopPruner),
    _project(name="no early stopping", patience=EPOCHS),
    _project(name="neither", pruner=optuna.pruners.NopPruner, patience=EPOCHS),
    _project(name="random search", sampler=random_sampler),
    _project(
        name="arch_idx, TPE and forced trials as before",
        suggest=suggest_as_before,
        sampler=sampler_as_before,
        enqueues_extremes=False,
    ),
    _project(
        name="best quarter instead of best half",
        pruner=partial(optuna.pruners.PercentilePruner, percentile=25.0, **_PRUNER),
    ),
    _project(
        name="successive halving",
        pruner=partial(optuna.pruners.SuccessiveHalvingPruner, **_RUNGS),
    ),
    _project(
        name="Hyperband",
        pruner=partial(optuna.pruners.HyperbandPruner, max_resource=round(STUDY_EPOCHS), **_RUNGS),
    ),
)
"""This project, and what would become of it with one thing changed."""


def replay(scheme: Scheme, results: Results, seed: int, target: float) -> Replay:
    """One search: to the target, at least `N_TRIALS` trials, at most `FULL_EPOCHS` epochs."""
    # Hyperband draws a trial's bracket from the study's name.
    study = optuna.create_study(study_name=str(seed), pruner=scheme.pruner())
    spent = 0
    to_target = math.inf
    after_n_trials: tuple[float, int] | None = None

    def objective(trial: optuna.Trial) -> float:
        nonlocal spent
        architecture = scheme.suggest(trial, results.space)
        rate = trial.suggest_categorical("learning_rate", results.learning_rates)
        best_epoch, best_loss = 0, math.inf
        for epoch, loss in enumerate(results.curves[architecture.arch_idx, rate].val_losses, 1):
            spent += 1
            if loss < best_loss:
                best_epoch, best_loss = epoch, loss
            trial.report(loss, round(epoch * STUDY_EPOCHS / EPOCHS))
            if trial.should_prune():
                raise optuna.TrialPruned
            if epoch - best_epoch >= scheme.patience:
                break
        return best_loss

    best = math.inf
    n_trials = 0
    while after_n_trials is None or (math.isinf(to_target) and spent < FULL_EPOCHS):
        if scheme.enqueues_extremes:
            enqueue_missing_trials(study, results.space)
        study.sampler = scheme.sampler(seed, n_trials)
        study.optimize(objective, n_trials=1)
        n_trials += 1
        last = study.get_trials(deepcopy=False)[n_trials - 1]
        if last.state is optuna.trial.TrialState.COMPLETE:
            assert last.value is not None
            best = min(best, last.value)
        if best <= target and math.isinf(to_target):
            to_target = spent
        if n_trials == N_TRIALS:
            after_n_trials = best, spent
    return Replay(best_loss=after_n_trials[0], epochs=after_n_trials[1], epochs_to_target=to_target)


def read_results(learning_rates: Sequence[float] | None = None) -> Results:
    """The table, or its part at some learning rates."""
    curves = read_table()
    rates = tuple(sorted({rate for _, rate in curves}))
    settings = StudySettings(
        experiment="replay",
        budget=parse_budget(BUDGET),
        horizon_days=3,
        task=parse_task("threshold_1pct"),
        search_space=SEARCH_SPACE,
    )
    return Results(
        curves=curves,
        learning_rates=tuple(learning_rates or rates),
        space=SearchSpace(grid=grid_of_table(), settings=settings),
    )


def compare(schemes: Sequence[Scheme], results: Results, seeds: Sequence[int]) -> Iterator[str]:
    """The lines of the Markdown table, each as soon as it is known."""
    yield (
        f"| search | best loss of {N_TRIALS} trials | their epochs | epochs to the old program's "
        f"best | of {FULL_EPOCHS} | within a third |"
    )
    yield "|---|---|---|---|---|---|"
    targets = [replay(OLD, results, seed, target=-math.inf).best_loss for seed in seeds]
    for scheme in (OLD, *schemes):
        found = [
            replay(scheme, results, seed, target)
            for seed, target in zip(seeds, targets, strict=True)
        ]
        yield _row(scheme.name, found)


def _row(name: str, replays: Sequence[Replay]) -> str:
    to_target = [r.epochs_to_target for r in replays]
    share = float(np.quantile(to_target, 0.5, method="inverted_cdf")) / FULL_EPOCHS
    within = sum(epochs <= FULL_EPOCHS / 3 for epochs in to_target) / len(to_target)
    cells = (
        name,
        _quartiles([r.best_loss for r in replays], "{:.4f}"),
        _quartiles([r.epochs for r in replays], "{:.0f}"),
        _quartiles(to_target, "{:.0f}"),
        f"{share:.2f}" if math.isfinite(share) else "> 1",
        f"{within:.0%}",
    )
    return f"| {' | '.join(cells)} |"


def _quartiles(values: Sequence[float], form: str) -> str:
    # An order statistic, since some values are infinite.
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), method="inverted_cdf")
    shown = [
        form.format(v) if math.isfinite(v) else f"> {FULL_EPOCHS}" for v in (low, middle, high)
    ]
    return f"{shown[1]} ({shown[0]} to {shown[2]})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, action="append", help="only this one")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = range(options.first_seed, options.first_seed + options.replays)
    for line in compare(SCHEMES, read_results(options.learning_rate), seeds):
        print(line, flush=True)


if __name__ == "__main__":
    main()

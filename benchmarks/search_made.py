"""What a search finds on made losses whose truth is known: a table, a row for each way to search.

    python -m benchmarks.search_made

A world is a smooth loss over the architectures of the 2M grid and the training settings; a trial is
that loss with the luck of its seed, most of which the trials of one seed and width share.
Every search is a study's own code, but for the training. The table says by how much the *true* loss
of what a search names is above the best there is (regret), how much too good the loss is that it
reports (optimism), how often its interval holds the true one, and how often the shape is the right
one. Made losses say which way of choosing bears noise; what trainings are like, they do not.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
from benchmarks.common_seeds import Luck
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from mlproject.data.labels import parse_task
from mlproject.models.arch_grid import Architecture
from mlproject.models.budget import parse_budget
from mlproject.search import replicates
from mlproject.search.configurations import place_of
from mlproject.search.recommendation import rank_architectures
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.sampler import make_sampler
from mlproject.search.search_space import SearchSpace, derived_seed
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import METRICS_ATTR

BUDGET = "2M"
N_TRIALS = 50
BEST_LOSS = 0.57
SHAPE_SPREAD = 0.0015
"""The standard deviation of the loss between architectures, settings alike."""
LUCK = Luck(of_all=0.0006, of_width=0.0012, alone=0.0004)
"""Of a seed: about what `benchmarks.common_seeds` finds in trainings of full length."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A way to search and to name the best."""

    name: str
    sampler: str = "TPE"
    replicated: float = 0.0
    """The share of the trials beyond the extremes that are replicates."""
    estimates: bool = True
    """Whether the best is the lowest estimate, with one seed for all, or the lowest loss."""


SCHEMES = (
    Scheme(name="lowest loss, a seed for each trial", estimates=False),
    Scheme(name="the same, random search", sampler="random", estimates=False),
    *(
        Scheme(
            name=f"lowest estimate, {share:.0%} replicates, {sampler}",
            sampler=sampler,
            replicated=share,
        )
        for share in (0.0, 0.3, 0.5)
        for sampler in ("TPE", "random")
    ),
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one search came to."""

    regret: float
    optimism: float
    covered: float
    """1 where the interval holds the true loss; NaN where there is none."""
    right_shape: float


class World:
    """True losses, and the luck of seeds."""

    def __init__(self, seed: int, space: SearchSpace) -> None:
        rng = np.random.default_rng((seed, 1))
        self._luck = np.random.default_rng((seed, 2))
        self._space = space
        places = np.array([place_of(each)[:3] for each in space.grid.architectures])
        waves = rng.normal(0, 0.4, (40, 3)), rng.uniform(0, 2 * math.pi, 40)
        effects = np.cos(places @ waves[0].T + waves[1]) @ rng.normal(0, 1, 40)
        effects = (effects - effects.mean()) / effects.std() * SHAPE_SPREAD
        self._architectures = effects + rng.normal(0, SHAPE_SPREAD / 10, len(effects))
        self._optimum = rng.uniform(0.25, 0.75, 4)
        self._of_seed = rng.normal(0, LUCK.of_all, N_TRIALS)
        self._of_width = {
            width: rng.normal(0, LUCK.of_width, N_TRIALS) for width in space.grid.values("d_model")
        }

    def loss(self, architecture: Architecture, params: Mapping[str, Any]) -> float:
        """The expected loss over seeds. Long trainings bear high rates less than short ones do."""
        rate, epochs, decay, dropout = self._shares(params)
        best_rate, best_epochs, best_decay, best_dropout = self._optimum
        return float(
            BEST_LOSS
            + self._architectures[architecture.arch_idx]
            + 0.03 * (rate + 0.5 * (epochs - best_epochs) - best_rate) ** 2
            + 0.003 * (epochs - best_epochs) ** 2
            + 0.002 * (decay - best_decay) ** 2
            + 0.003 * (dropout - best_dropout) ** 2
        )

    @property
    def lowest(self) -> float:
        """Of all architectures at the best settings."""
        return float(BEST_LOSS + self._architectures.min())

    @property
    def best(self) -> Architecture:
        """The best architecture."""
        return self._space.grid.architectures[int(self._architectures.argmin())]

    def luck(self, architecture: Architecture, seed_index: int) -> float:
        """Of one trial."""
        shared = self._of_seed[seed_index] + self._of_width[architecture.d_model][seed_index]
        return float(shared + self._luck.normal(0, LUCK.alone))

    def _shares(self, params: Mapping[str, Any]) -> list[float]:
        return [allowed.share(params[name]) for name, allowed in self._space.ranges.items()]


@dataclass(frozen=True, kw_only=True, eq=False)
class Searched:
    """A search that has spent its trials, and the world that it searched."""

    world: World
    space: SearchSpace
    trials: list[FrozenTrial]


def spend_trials(scheme: Scheme, seed: int) -> Searched:
    """One search on one world, before anything is named the best."""
    space = SearchSpace.of(
        StudySettings(
            experiment="made",
            budget=parse_budget(BUDGET),
            horizon_days=3,
            task=parse_task("threshold_1pct"),
            n_trials=N_TRIALS,
            seed=seed,
        ),
        n_features=25,
    )
    world = World(seed, space)
    study = optuna.create_study()
    with patch.object(replicates, "REPLICATED_SHARE", scheme.replicated):
        remaining = RemainingTrials(study, space)
        while remaining.n_to_start():
            study.sampler = _sampler(scheme, space, seed, remaining.next_seed_index())
            trial = study.ask()
            architecture, _ = space.suggest(trial)
            truth = world.loss(architecture, trial.params)
            index = trial.number
            if scheme.estimates:
                index = space.seed_index(trial.number, trial.user_attrs)
            trial.set_user_attr(METRICS_ATTR, {})  # as every trial of the program has
            study.tell(trial, truth + world.luck(architecture, index))
    return Searched(world=world, space=space, trials=study.get_trials(deepcopy=False))


def search(scheme: Scheme, seed: int) -> Found:
    """One search on one world."""
    searched = spend_trials(scheme, seed)
    world, space, trials = searched.world, searched.space, searched.trials
    low = high = math.nan
    if scheme.estimates:
        first = rank_architectures(trials, space)[0]
        named, said, low, high = trials[first.trial], first.val_loss, first.low, first.high
    else:
        named = min(trials, key=loss_of)
        said = loss_of(named)
    architecture = architecture_of(named, space)
    truth = world.loss(architecture, named.params)
    return Found(
        regret=truth - world.lowest,
        optimism=truth - said,
        covered=float(low <= truth <= high) if scheme.estimates else math.nan,
        right_shape=float(architecture.shape == world.best.shape),
    )


def architecture_of(trial: FrozenTrial | optuna.Trial, space: SearchSpace) -> Architecture:
    """The architecture of a trial that has one."""
    found = space.architecture(trial.params)
    assert found is not None
    return found


def loss_of(trial: FrozenTrial) -> float:
    """The loss of a complete trial."""
    assert trial.value is not None
    return trial.value


def table(schemes: tuple[Scheme, ...], n_worlds: int) -> Iterator[str]:
    """The lines of the Markdown table, each as soon as it is known."""
    yield "| search | regret | its standard error | optimism | interval holds | right shape |"
    yield "|---|---|---|---|---|---|"
    for scheme in schemes:
        found = [search(scheme, seed) for seed in range(n_worlds)]
        yield f"| {scheme.name} | {' | '.join(cells_of(found))} |"


def cells_of(found: Sequence[Found]) -> list[str]:
    """Regret, its standard error, optimism, how often intervals hold, and the right shape."""
    regret = np.array([each.regret for each in found])
    covered = np.mean([each.covered for each in found])
    return [
        f"{regret.mean():.5f}",
        f"{regret.std(ddof=1) / math.sqrt(len(found)):.5f}",
        f"{np.mean([each.optimism for each in found]):+.5f}",
        "–" if np.isnan(covered) else f"{covered:.0%}",
        f"{np.mean([each.right_shape for each in found]):.0%}",
    ]


def _sampler(scheme: Scheme, space: SearchSpace, seed: int, index: int) -> BaseSampler:
    if scheme.sampler == "TPE":
        return make_sampler(space.version, seed, index)
    return RandomSampler(seed=derived_seed(seed, index))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=60)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for line in table(SCHEMES, options.worlds):
        print(line, flush=True)


if __name__ == "__main__":
    main()

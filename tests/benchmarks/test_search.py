"""Searches are replayed on tables of trainings, whose expected losses are known."""

import math
from pathlib import Path

import numpy as np
import optuna
import pytest
from benchmarks.search import BEFORE, N_TRIALS, SCHEMES, Scheme, World, compare, search
from benchmarks.trainings import (
    FOLDER,
    TABLES,
    Setting,
    Table,
    Training,
    grid_of,
    make,
    read_trainings,
)

TABLE = TABLES["sp500_500k"]
N_FEATURES = 25
MADE_SEEDS = 8


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _made(table: Table) -> list[Training]:
    """A table whose losses are drawn: depth pays, the middle setting is the best."""
    rng = np.random.default_rng(0)
    luck = rng.normal(0, 0.002, MADE_SEEDS)
    made = []
    for architecture in table.architectures(N_FEATURES):
        for number, setting in enumerate(table.settings):
            for seed in range(MADE_SEEDS):
                depth = 0.003 * math.log2(architecture.n_layers)
                loss = 0.57 - depth + 0.001 * abs(number - 1) + luck[seed] + rng.normal(0, 0.001)
                made.append(
                    Training(
                        arch_idx=architecture.arch_idx,
                        d_model=architecture.d_model,
                        n_layers=architecture.n_layers,
                        n_heads=architecture.n_heads,
                        d_ff=architecture.d_ff,
                        setting=number,
                        seed=seed,
                        val_losses=tuple(np.linspace(0.65, loss, setting.epochs)),
                        block_losses=(),
                    )
                )
    return made


@pytest.fixture(scope="module")
def world() -> World:
    return World(TABLE, _made(TABLE))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_is_kept_of_a_table_is_what_the_table_says(path: Path) -> None:
    table = TABLES[path.stem]
    architectures = {each.arch_idx: each for each in grid_of(table, N_FEATURES).architectures}
    for training in read_trainings(table):
        architecture = architectures[training.arch_idx]
        for name in ("d_model", "n_layers", "n_heads", "d_ff"):
            assert getattr(training, name) == getattr(architecture, name)
        assert len(training.val_losses) == table.settings[training.setting].epochs
        assert all(map(math.isfinite, training.val_losses))
        assert np.mean(training.block_losses) == pytest.approx(min(training.val_losses), rel=0.1)


def test_a_table_goes_on_after_the_line_at_which_it_was_killed(tmp_path: Path) -> None:
    short = Setting(learning_rate=1e-4, epochs=1)
    table = Table(data="sp500", budget="100k", heads=(8,), settings=(short,), n_seeds=1)
    path = tmp_path / f"{table.name}.jsonl"
    whole = list(make(table, tmp_path))
    assert [each.n_layers for each in whole] == [2, 2, 3]
    kept = path.read_text()
    path.write_text(kept[:-40])
    assert list(make(table, tmp_path)) == whole[-1:]
    assert path.read_text() == kept
    assert list(make(table, tmp_path)) == []


def test_the_world_knows_its_best(world: World) -> None:
    architecture, rate = world.best
    assert architecture.n_layers == 16
    assert rate == TABLE.settings[1].learning_rate
    losses = [
        world.expected_loss(each, r) for each in world.grid.architectures for r in world.rates
    ]
    assert world.expected_loss(architecture, rate) == min(losses)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_replay_follows_from_its_number(scheme: Scheme, world: World) -> None:
    short = Scheme(**vars(scheme) | {"n_trials": 12})
    once, again = (search(short, world, number=1) for _ in range(2))
    assert (once.regret, once.optimism, once.epochs) == (again.regret, again.optimism, again.epochs)
    assert once.regret >= 0
    assert 12 <= once.epochs <= 12 * 20
    assert math.isnan(once.covered) == (scheme.replicated is None)


def test_the_comparison_has_a_row_for_every_search(world: World) -> None:
    lines = list(compare(SCHEMES[:2], world, numbers=range(2)))
    names = [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]
    assert names == [BEFORE.name, SCHEMES[1].name]
    assert lines[2].endswith("| 100% |")


def test_before_each_trial_had_a_seed_of_its_own_and_the_lowest_loss_was_taken(
    world: World,
) -> None:
    found = [search(BEFORE, world, number) for number in range(6)]
    assert BEFORE.n_trials == N_TRIALS
    assert np.mean([each.optimism for each in found]) > 0.001  # the luckiest of many

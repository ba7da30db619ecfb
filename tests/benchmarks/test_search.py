"""The table of real results is whole, and searches can be replayed on it."""

import math
from collections.abc import Iterator

import optuna
import pytest
from benchmarks.search import (
    FULL_EPOCHS,
    N_TRIALS,
    OLD,
    SCHEMES,
    Results,
    Scheme,
    compare,
    read_results,
    replay,
)
from benchmarks.search_table import EPOCHS, LEARNING_RATES, grid_of_table, read_table


@pytest.fixture(scope="module")
def results() -> Results:
    return read_results()


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_the_table_holds_every_architecture_at_every_setting() -> None:
    architectures = grid_of_table().architectures
    assert len(architectures) == 80
    expected = {(a.arch_idx, rate) for a in architectures for rate in LEARNING_RATES}
    assert read_table().keys() == expected


def test_every_curve_is_finite_and_of_full_length() -> None:
    for curve in read_table().values():
        for losses in (curve.train_losses, curve.val_losses):
            assert len(losses) == EPOCHS
            assert all(map(math.isfinite, losses))


def test_the_old_program_spends_all_epochs_of_all_its_trials(results: Results) -> None:
    found = replay(OLD, results, seed=0, target=-math.inf)
    assert found.epochs == FULL_EPOCHS
    assert math.isinf(found.epochs_to_target)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_replay_follows_from_its_seed(scheme: Scheme, results: Results) -> None:
    losses = [min(curve.val_losses) for curve in results.curves.values()]
    target = sorted(losses)[len(losses) // N_TRIALS]
    once, again = (replay(scheme, results, seed=1, target=target) for _ in range(2))
    assert once == again
    assert min(losses) <= once.best_loss
    assert N_TRIALS <= once.epochs <= FULL_EPOCHS


def test_the_comparison_has_a_row_for_every_search(results: Results) -> None:
    lines = list(compare(SCHEMES[:1], results, seeds=range(2)))
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        f"| {scheme.name}" for scheme in (OLD, SCHEMES[0])
    ]

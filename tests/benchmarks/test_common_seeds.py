"""What common seeds are worth, of made trainings whose luck is known."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.common_seeds import lowest_losses, luck_of, table, variances
from benchmarks.trainings import Training

SHARED, OWN = 0.003, 0.001


def _made(n_layers: int, setting: int, seed: int, loss: float) -> Training:
    return Training(
        arch_idx=n_layers,
        d_model=64,
        n_layers=n_layers,
        n_heads=8,
        d_ff=128,
        setting=setting,
        seed=seed,
        val_losses=(loss + 0.1, loss, loss + 0.01),
        block_losses=(),
    )


@pytest.fixture
def trainings() -> list[Training]:
    rng = np.random.default_rng(0)
    luck = rng.normal(0, SHARED, (2, 200))
    return [
        _made(n_layers, setting, seed, 0.57 + luck[setting, seed] + rng.normal(0, OWN))
        for n_layers in (2, 3)
        for setting in range(2)
        for seed in range(200)
    ]


def test_the_ratio_is_that_of_all_luck_to_what_is_not_shared(trainings: list[Training]) -> None:
    here, there = lowest_losses(trainings).values()
    paired, unpaired = variances(here, there)
    assert unpaired / paired == pytest.approx((SHARED**2 + OWN**2) / OWN**2, rel=0.2)


def test_a_seed_that_one_of_them_lacks_is_left_out(trainings: list[Training]) -> None:
    losses = lowest_losses(trainings[:-1])
    assert {each.shape for each in losses.values()} == {(2, 199)}


def test_there_is_a_row_for_each_pair_and_one_for_all(trainings: list[Training]) -> None:
    lines = list(table([*trainings, *(_made(4, s, k, 0.6) for s in range(2) for k in range(200))]))
    assert len(lines) == 2 + 3 + 1
    assert lines[-1].startswith("| all 3 pairs of one width |")


def test_the_luck_is_told_apart_by_pairs_of_one_width_and_of_two() -> None:
    rng = np.random.default_rng(1)
    of_all, alone = rng.normal(0, 0.001, 400), 0.0005
    of_width = {64: rng.normal(0, 0.002, 400), 128: rng.normal(0, 0.002, 400)}
    made = [
        replace(
            _made(n_layers, 0, seed, 0.57 + of_all[seed] + luck[seed] + rng.normal(0, alone)),
            d_model=width,
        )
        for width, luck in of_width.items()
        for n_layers in (2, 3)
        for seed in range(400)
    ]
    luck = luck_of(made)
    assert luck.alone == pytest.approx(alone, rel=0.15)
    assert luck.of_width == pytest.approx(0.002, rel=0.15)
    assert luck.of_all == pytest.approx(0.001, rel=0.4)

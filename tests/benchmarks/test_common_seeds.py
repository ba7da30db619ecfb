"""What common seeds are worth, of made trainings whose luck is known."""

import numpy as np
import pytest
from benchmarks.common_seeds import lowest_losses, table, variances
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
    assert lines[-1].startswith("| all 3 pairs |")

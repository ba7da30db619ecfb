"""The estimates: their truth on made losses, whose expected values are known."""

import functools

import numpy as np
import pytest
from scipy.stats import norm

from mlproject.search.estimates import INTERVAL, Coordinates, Estimates, Observation, estimate

N_ARMS = 24
LEVEL = 0.57
NOISE = 0.003


def _made(seed: int, replicates: int = 3) -> tuple[np.ndarray, Coordinates, list[Observation]]:
    """Expected losses that change smoothly, and noisy trials of them with common seeds."""
    rng = np.random.default_rng(seed)
    architecture = np.column_stack([rng.uniform(6, 9, N_ARMS), rng.uniform(1, 7, N_ARMS)])
    settings = rng.uniform(0, 1, (N_ARMS, 3))
    phases = rng.uniform(0, 6, 2)
    expected = (
        LEVEL
        + 0.002 * np.sin(architecture @ [0.7, 0.9] + phases[0])
        + 0.02 * (settings[:, 0] - rng.uniform(0.3, 0.7)) ** 2
    )
    common = rng.normal(0, NOISE / 2, replicates)
    trials = [
        Observation(arm=arm, seed=k, loss=float(expected[arm] + common[k] + rng.normal(0, NOISE)))
        for arm in range(N_ARMS)
        for k in range(replicates if arm % 4 == 0 else 1)
    ]
    return (
        expected,
        Coordinates(architecture=architecture, settings=settings, widths=np.full(N_ARMS, 64)),
        trials,
    )


@functools.cache
def _estimates(count: int) -> list[tuple[np.ndarray, list[Observation], Estimates]]:
    made = [_made(seed) for seed in range(count)]
    return [(expected, trials, estimate(where, trials)) for expected, where, trials in made]


def test_the_best_estimate_is_not_the_luckiest_trial() -> None:
    lucky, estimated = [], []
    for expected, trials, found in _estimates(25):
        luckiest = min(trials, key=lambda trial: trial.loss)
        lucky.append(luckiest.loss - expected[luckiest.arm])
        best = int(found.mean.argmin())
        estimated.append(found.mean[best] - expected[best])
    assert np.mean(lucky) < -0.004  # what the minimum promises and cannot keep
    assert abs(np.mean(estimated)) < 0.0016


def test_intervals_hold_the_expected_losses_as_often_as_they_say() -> None:
    z = norm.ppf((1 + INTERVAL) / 2)
    inside = [
        np.abs(found.mean - expected) < z * found.deviation for expected, _, found in _estimates(25)
    ]
    assert 0.85 <= np.mean(inside) <= 0.96


def test_a_replicate_makes_an_estimate_more_certain() -> None:
    _, where, trials = _made(0, replicates=1)
    before = estimate(where, trials)
    further = [Observation(arm=5, seed=k, loss=LEVEL) for k in range(1, 9)]
    after = estimate(where, [*trials, *further])
    assert after.deviation[5] < before.deviation[5]


def test_a_seed_that_all_share_moves_no_difference() -> None:
    where = Coordinates(
        architecture=np.array([[6.0], [7.0]]),
        settings=np.zeros((2, 1)),
        widths=np.full(2, 64),
    )
    losses = [(0, 0, 0.570), (1, 0, 0.572), (0, 1, 0.590), (1, 1, 0.592), (0, 2, 0.560)]
    lucky = Observation(arm=1, seed=2, loss=0.562)
    trials = [Observation(arm=arm, seed=seed, loss=loss) for arm, seed, loss in losses]
    found = estimate(where, [*trials, lucky])
    assert found.mean[0] < found.mean[1]
    assert (found.draws(0)[:, 0] < found.draws(0)[:, 1]).mean() > 0.8
    spread = found.mean[1] - found.mean[0]
    assert spread == pytest.approx(0.002, rel=0.5)  # though the seeds lie 0.03 apart


def test_how_bad_the_bad_ones_are_says_nothing_of_the_good_ones() -> None:
    _, where, trials = _made(1)
    bad = [Observation(arm=3, seed=7, loss=loss) for loss in (0.75, 900.0)]
    mild, wild = (estimate(where, [*trials, each]) for each in bad)
    assert wild.mean == pytest.approx(mild.mean, abs=1e-4)


def test_one_trial_and_equal_losses_give_an_estimate() -> None:
    where = Coordinates(
        architecture=np.zeros((2, 2)), settings=np.zeros((2, 2)), widths=np.full(2, 64)
    )
    alone = estimate(where, [Observation(arm=0, seed=0, loss=0.5)])
    assert alone.mean == pytest.approx([0.5, 0.5])
    same = estimate(where, [Observation(arm=arm, seed=0, loss=0.5) for arm in (0, 1, 1)])
    assert np.isfinite(same.mean).all() and np.isfinite(same.deviation).all()
    with pytest.raises(ValueError, match="no trial"):
        estimate(where, [])

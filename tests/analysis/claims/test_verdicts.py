"""What is said of a study: nothing where there is nothing, and what is there where there is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from mlproject.analysis.claims.references import References
from mlproject.analysis.claims.verdicts import (
    MIN_BLOCKS,
    Verdict,
    best_of_many_p_value,
    claims_of,
    compare,
    cross_fitted,
)
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import build_windows
from mlproject.tracking.names import Origin, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics

BLOCKS = 10
WEIGHTS = np.full(BLOCKS, 1 / BLOCKS)
PRIOR = np.full(BLOCKS, 0.68)

Floats = npt.NDArray[np.float64]


def study(
    rng: np.random.Generator, *, better_by: float = 0.0, trials: int = 8, epochs: int = 10
) -> tuple[list[Floats], Floats]:
    """Losses of trials that share the luck of a few directions, and the true mean of each."""
    luck = rng.normal(0, 0.004, (3, BLOCKS))
    found, true = [], []
    for _ in range(trials):
        worse = np.abs(rng.normal(0, 0.002, (epochs, 1))) - better_by
        shared = rng.normal(0, 1, (epochs, 3)) @ luck
        found.append(PRIOR + worse + shared + rng.normal(0, 0.001, (epochs, BLOCKS)))
        true.append(PRIOR.mean() + worse[:, 0])
    return found, np.concatenate(true)


def run(losses: Floats | None, number: int = 1, **changes: object) -> TrialRun:
    epochs = [] if losses is None else losses
    return TrialRun(
        **{
            "trial_number": number,
            "state": TrialState.COMPLETE,
            "started_ms": 0,
            "epochs": tuple(
                EpochMetrics(
                    epoch=at, train_loss=0.7, val_loss=float(np.mean(e)), val_block_losses=tuple(e)
                )
                for at, e in enumerate(epochs, 1)
            ),
            **changes,
        }
    )


def references(blocks: int = BLOCKS) -> References:
    return References(
        weights=np.full(blocks, 1 / blocks),
        prior=np.full(blocks, 0.68),
        baselines={"volatility": np.full(blocks, 0.67), "lagged_returns": np.full(blocks, 0.69)},
    )


def test_where_nothing_is_better_it_is_rarely_said():
    rng = np.random.default_rng(0)
    verdicts = [compare(study(rng)[0], PRIOR, WEIGHTS).verdict for _ in range(120)]
    naive = [min(e.mean() for t in study(rng)[0] for e in t) < 0.68 for _ in range(120)]
    assert np.mean(naive) > 0.9  # what the lowest loss alone would claim
    assert np.mean([v is Verdict.BETTER for v in verdicts]) <= 0.05


def test_what_is_better_is_found():
    rng = np.random.default_rng(1)
    found = [compare(study(rng, better_by=0.02)[0], PRIOR, WEIGHTS) for _ in range(40)]
    assert np.mean([each.verdict is Verdict.BETTER for each in found]) >= 0.9
    worse = [compare(study(rng, better_by=-0.02)[0], PRIOR, WEIGHTS) for _ in range(40)]
    assert np.mean([each.verdict is Verdict.WORSE for each in worse]) >= 0.9


def test_the_adjusted_loss_has_no_luck_in_it():
    rng = np.random.default_rng(2)
    lucky, adjusted, covered = [], [], []
    for _ in range(150):
        losses, true = study(rng)
        means = np.concatenate(losses).mean(axis=1)
        chosen = means.argmin()
        lucky.append(means[chosen] - true[chosen])
        found = compare(losses, PRIOR, WEIGHTS)
        assert found.low is not None and found.high is not None and found.difference is not None
        adjusted.append(found.difference + 0.68 - true[chosen])
        covered.append(found.low <= true[chosen] - 0.68 <= found.high)
    assert np.mean(lucky) < -0.003
    assert abs(np.mean(adjusted)) < 0.001
    assert 0.8 <= np.mean(covered) <= 0.99


def test_a_loss_is_read_where_it_was_not_chosen():
    losses = np.full((3, BLOCKS), 0.7)
    losses[1, 4] = 0.1  # the lucky block of an epoch that is else no better
    losses[2] = 0.69
    chosen = cross_fitted([losses], WEIGHTS)
    np.testing.assert_array_equal(chosen[3:6], 0.69)
    assert chosen[0] == 0.7  # elsewhere the luck is believed, and costs what it costs


def test_all_signs_are_gone_through():
    assert best_of_many_p_value(np.full((1, 6), -0.1)) == pytest.approx(1 / 64)
    assert best_of_many_p_value(np.full((1, 6), 0.1)) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("runs", "blocks", "reason"),
    [
        ([], BLOCKS, "no trial of this program is complete yet"),
        ([run(None, state=TrialState.PRUNED)], BLOCKS, "no trial of this program is complete"),
        (
            [run(np.full((2, BLOCKS), 0.5), tags={Tag.ORIGIN.value: Origin.LOG.value})],
            BLOCKS,
            "no trial of this program",
        ),
        ([run(None)], BLOCKS, "before losses were kept by block"),
        ([run(np.full((2, 4), 0.5))], 4, "has 4 independent blocks of days and 6 are needed"),
    ],
)
def test_what_cannot_be_told_is_undecided_and_says_why(
    runs: Sequence[TrialRun], blocks: int, reason: str
):
    claims = claims_of(runs, references(blocks))
    assert claims.prior.verdict is claims.baseline.verdict is Verdict.UNDECIDED
    assert reason in claims.prior.reason
    assert claims.val_loss_adjusted is None
    assert claims.skill_adjusted is None


def test_one_trial_is_enough_to_be_judged():
    rng = np.random.default_rng(3)
    losses = 0.65 + rng.normal(0, 0.001, (3, BLOCKS))
    claims = claims_of([run(losses)], references())
    assert claims.prior.verdict is claims.baseline.verdict is Verdict.BETTER
    assert claims.baseline_name == "volatility"
    assert claims.skill_adjusted == pytest.approx(1 - 0.65 / 0.68, abs=0.002)
    assert MIN_BLOCKS <= BLOCKS


def test_the_baselines_of_the_sample_are_what_they_were_measured_to_be():
    bars = load_bars("sp500")
    data = build_windows(bars, horizon_days=3, task=parse_task("threshold_1pct"))
    found = References.of(Markets.of(bars), data)
    assert len(found.weights) == BLOCKS
    assert found.best_baseline == "volatility"
    assert found.loss(found.baselines["volatility"]) == pytest.approx(0.5705, abs=0.001)
    assert found.loss(found.prior) == pytest.approx(0.6188, abs=0.002)

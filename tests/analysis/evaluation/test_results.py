"""Scores, intervals and verdicts."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from mlproject.analysis.evaluation.market_scores import market_score_table
from mlproject.analysis.evaluation.note import prediction_table, score_table, verdicts
from mlproject.analysis.evaluation.pictures import draw_pictures
from mlproject.analysis.evaluation.results import TestResults, Verdict, score_test_set
from mlproject.analysis.evaluation.scores import (
    log_losses,
    paired_block_bootstrap,
    score_probabilities,
)
from mlproject.tracking.names import TestMetric

DAYS = 700


def _results(
    network: list[float], baseline: float, *, labels: np.ndarray | None = None
) -> TestResults:
    """Networks and a baseline that are right with these probabilities, day for day."""
    truth = np.tile([0.0, 1.0, 0.0], 300)[:DAYS] if labels is None else labels

    def right(share: float) -> np.ndarray:
        return np.where(truth > 0.5, share, 1 - share)

    return score_test_set(
        dates=np.datetime64("2016-01-01") + np.arange(len(truth)),
        labels=truth,
        network=np.stack([right(share) for share in network]),
        baselines={"prior": np.full(len(truth), 1 / 3), "gradient_boosting": right(baseline)},
        horizon_days=3,
    )


def test_scores_are_those_of_the_field() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.3).astype(float)
    probabilities = rng.random(500)
    scores = score_probabilities(probabilities, labels)
    assert scores[TestMetric.LOSS] == pytest.approx(log_loss(labels, probabilities))
    assert scores[TestMetric.BRIER] == pytest.approx(brier_score_loss(labels, probabilities))
    assert scores[TestMetric.ACCURACY] == ((probabilities > 0.5) == (labels > 0.5)).mean()
    assert set(scores) == set(TestMetric)


def test_one_class_leaves_out_what_means_nothing() -> None:
    results = _results([0.6], 0.7, labels=np.zeros(80))
    assert results.mean(TestMetric.AUC) is None
    assert results.mean(TestMetric.LOSS) == pytest.approx(-math.log(0.6))
    names = [name for name, _ in draw_pictures(results)]
    assert names == ["calibration", "confusion_matrix", "loss_difference"]


def test_certainty_that_is_wrong_costs_much_and_not_infinitely_much() -> None:
    assert 20 < log_losses(np.array([0.0]), np.array([1.0]))[0] < 40


def test_the_verdict_follows_the_interval() -> None:
    better = _results([0.8, 0.82], 0.6)
    assert better.verdict("gradient_boosting") is Verdict.NETWORK_WINS
    worse = _results([0.6, 0.62], 0.8)
    assert worse.verdict("gradient_boosting") is Verdict.BASELINE_WINS
    first = verdicts(worse)[0]
    assert first.startswith("Gradient boosting wins against the network: log loss 0.49")
    assert worse.mean(TestMetric.LOSS) == pytest.approx(-math.log(0.6 * 0.62) / 2)
    assert worse.spread(TestMetric.LOSS) == pytest.approx(math.log(0.62 / 0.6) / 2)


def test_a_lead_that_may_be_luck_is_called_so() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(DAYS) < 0.35).astype(float)
    noise = np.clip(0.35 + rng.normal(0, 0.1, (2, DAYS)), 0.01, 0.99)
    results = score_test_set(
        dates=np.datetime64("2016-01-01") + np.arange(DAYS),
        labels=labels,
        network=noise[:1],
        baselines={"prior": noise[1]},
        horizon_days=3,
    )
    assert results.verdict("prior") in (Verdict.NETWORK_AHEAD, Verdict.BASELINE_AHEAD)
    assert "may be luck" in verdicts(results)[0]


def test_the_interval_covers_the_truth_when_neighbours_go_together() -> None:
    """Differences with a memory of about a block: independent days would cover far too seldom."""
    rng = np.random.default_rng(0)
    covered = {1: 0, 63: 0}
    for _ in range(100):
        shocks = rng.normal(0, 1, 1400 + 20)
        together = np.convolve(shocks, np.ones(20) / 20, mode="valid")[:1400]
        for block in covered:
            found = paired_block_bootstrap(together, block_days=block, resamples=400)
            covered[block] += found.low <= 0 <= found.high
    assert covered[63] >= 82
    assert covered[1] < 50


def test_equal_predictions_differ_by_nothing() -> None:
    found = paired_block_bootstrap(np.zeros(79), block_days=63)
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    assert found.blocks == pytest.approx(79 / 39)


def test_markets_that_go_together_are_no_more_days() -> None:
    """Eight markets whose losses of a day are the same tell no more than one of them."""
    rng = np.random.default_rng(3)
    labels = (rng.random(DAYS) < 0.35).astype(float)
    network = np.clip(0.35 + 0.05 * labels + rng.normal(0, 0.1, DAYS), 0.01, 0.99)

    def results(markets: int) -> TestResults:
        order = rng.permutation(markets * DAYS)  # neither by day nor by market
        day = (np.arange(markets * DAYS) // markets)[order]
        return score_test_set(
            dates=(np.datetime64("2016-01-01") + np.arange(DAYS))[day],
            labels=labels[day],
            network=network[None, day],
            baselines={"prior": np.full(markets * DAYS, 0.35)},
            horizon_days=3,
            markets=np.array([f"m{number}" for number in range(markets)])[order % markets],
        )

    one, eight = results(1).differences["prior"], results(8).differences["prior"]
    assert eight.mean == pytest.approx(one.mean)
    assert (eight.low, eight.high) == pytest.approx((one.low, one.high))


def test_a_day_of_few_markets_weighs_as_its_windows() -> None:
    """The mean over days is the mean over windows, whatever market ends when."""
    rng = np.random.default_rng(4)
    dates = np.datetime64("2016-01-01") + np.concatenate([np.arange(300), np.arange(250, 280)])
    labels = (rng.random(330) < 0.4).astype(float)
    network = rng.uniform(0.2, 0.8, (1, 330))
    results = score_test_set(
        dates=dates,
        labels=labels,
        network=network,
        baselines={"prior": np.full(330, 0.4)},
        horizon_days=3,
        markets=np.repeat(["a", "b"], [300, 30]),
    )
    losses = log_losses(network[0], labels) - log_losses(np.full(330, 0.4), labels)
    assert results.differences["prior"].mean == pytest.approx(losses.mean())
    table = market_score_table(results)
    assert table["market"].tolist() == ["a", "a", "b", "b"]
    assert table["windows"].tolist() == [300, 300, 30, 30]
    weighted = (table["test_loss"] * table["windows"])[::2].sum() / 330
    assert weighted == pytest.approx(results.mean(TestMetric.LOSS))
    predictions = prediction_table(results)
    assert list(predictions.columns) == ["market", "date", "label", "network_1", "prior"]
    assert predictions["market"].tolist() == ["a"] * 300 + ["b"] * 30


def test_tables_hold_every_seed_and_baseline() -> None:
    results = _results([0.8, 0.82], 0.6)
    scores = score_table(results)
    assert scores["predictor"].tolist() == ["network", "network", "prior", "gradient_boosting"]
    predictions = prediction_table(results)
    columns = ["date", "label", "network_1", "network_2", "prior", "gradient_boosting"]
    assert list(predictions.columns) == columns
    again = score_probabilities(
        predictions["network_2"].to_numpy(), predictions["label"].to_numpy(float)
    )
    assert scores["test_loss"][1] == pytest.approx(again[TestMetric.LOSS])

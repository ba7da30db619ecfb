"""Scores, intervals and verdicts."""

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from mlproject.analysis.claims.log_losses import log_losses
from mlproject.analysis.claims.score_influences import auc_influences
from mlproject.analysis.evaluation.market_scores import market_score_table
from mlproject.analysis.evaluation.note import (
    conclusion,
    prediction_table,
    score_table,
    verdicts,
)
from mlproject.analysis.evaluation.pictures import draw_pictures
from mlproject.analysis.evaluation.results import TestResults, Verdict, score_test_set
from mlproject.analysis.evaluation.scores import score_probabilities
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
    assert first.startswith("Gradient boosting on windows wins against the network: log loss 0.49")
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


def _three(prior: float, logistic: float, boosting: float, network: list[float]) -> TestResults:
    """A network and three baselines that are right with these probabilities, day for day."""
    truth = np.tile([0.0, 1.0, 0.0], 300)[:DAYS]

    def right(share: float) -> np.ndarray:
        return np.where(truth > 0.5, share, 1 - share)

    baselines = {"prior": prior, "logistic_regression": logistic, "gradient_boosting": boosting}
    return score_test_set(
        dates=np.datetime64("2016-01-01") + np.arange(DAYS),
        labels=truth,
        network=np.stack([right(share) for share in network]),
        baselines={name: right(share) for name, share in baselines.items()},
        horizon_days=3,
    )


def test_a_win_takes_the_best_baseline_and_the_prior() -> None:
    """Better than a baseline that is worse than knowing nothing is no win."""
    won = _three(prior=0.6, logistic=0.7, boosting=0.65, network=[0.8, 0.81, 0.8])
    assert won.best_baseline == "logistic_regression"
    assert {won.verdict(name) for name in won.baselines} == {Verdict.NETWORK_WINS}
    assert conclusion(won) == (
        "The network beats the best baseline, logistic regression on windows, and the prior."
    )
    lost = _three(prior=0.7, logistic=0.6, boosting=0.55, network=[0.65, 0.65, 0.65])
    assert lost.best_baseline == "prior"
    assert lost.verdict("prior") is Verdict.BASELINE_WINS
    assert lost.differences["logistic_regression"].high < 0
    assert lost.verdict("logistic_regression") is Verdict.NETWORK_AHEAD
    assert conclusion(lost) == "The network loses to the best baseline, prior."
    assert any(
        "ahead of logistic regression on windows, but that is no win" in sentence
        for sentence in verdicts(lost)
    )


def test_what_seeds_differ_by_is_part_of_the_interval() -> None:
    """The same mean loss over the seeds, from seeds that agree and from seeds that do not."""
    spread = np.exp([-0.2, 0.0, 0.2])
    loud, calm = (_three(0.6, 0.7, 0.65, list(0.75 * shares)) for shares in (spread, np.ones(3)))
    lengths = [
        results.differences["prior"].high - results.differences["prior"].low
        for results in (loud, calm)
    ]
    assert lengths[0] > lengths[1] + 0.5
    one = _three(0.6, 0.7, 0.65, [0.75])
    assert one.differences["prior"].high - one.differences["prior"].low == pytest.approx(
        lengths[1], rel=1e-6
    )


def test_that_some_baseline_wins_takes_more_the_more_there_are() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(DAYS) < 0.35).astype(float)
    dates = np.datetime64("2016-01-01") + np.arange(DAYS)
    noise = np.clip(0.35 + rng.normal(0, 0.1, (4, DAYS)), 0.01, 0.99)
    names = ("prior", "logistic_regression", "gradient_boosting")
    lengths = []
    for count in (1, 3):
        baselines = dict(zip(names[:count], noise[1:], strict=False))
        found = score_test_set(
            dates=dates, labels=labels, network=noise[:1], baselines=baselines, horizon_days=3
        ).differences["prior"]
        lengths.append(found.joint_high - found.joint_low)
    assert lengths[1] > 1.1 * lengths[0]


def test_the_influences_on_the_auc_are_those_of_leaving_a_day_out() -> None:
    """The jackknife says the same to first order; their mean is the AUC itself."""
    rng = np.random.default_rng(3)
    labels = (rng.random(400) < 0.3).astype(float)
    probabilities = np.round(0.3 + 0.2 * labels + rng.normal(0, 0.3, 400), 1)  # with ties
    influences = auc_influences(probabilities, labels)
    auc = roc_auc_score(labels, probabilities)
    assert influences.mean() == pytest.approx(auc)
    keep = ~np.eye(400, dtype=bool)
    left = [roc_auc_score(labels[row], probabilities[row]) for row in keep]
    assert 400 * auc - 399 * np.array(left) == pytest.approx(influences, abs=0.02)


def test_the_auc_of_a_constant_is_one_half_for_sure() -> None:
    results = _results([0.8, 0.82], 0.6)
    prior = results.baseline_aucs["prior"]
    assert (prior.low, prior.mean, prior.high) == pytest.approx((0.5, 0.5, 0.5))
    assert results.network_auc is not None
    assert results.network_auc.mean == pytest.approx(results.mean(TestMetric.AUC))
    assert _results([0.6], 0.7, labels=np.zeros(80)).network_auc is None


def test_windows_of_one_date_are_one_day() -> None:
    """Eight markets that move as one say no more than one of them."""
    rng = np.random.default_rng(4)
    labels = (rng.random(DAYS) < 0.35).astype(float)
    network, prior = np.clip(0.35 + rng.normal(0, 0.1, (2, DAYS)), 0.01, 0.99)
    dates = np.datetime64("2016-01-01") + np.arange(DAYS)
    one, eight = (
        score_test_set(
            dates=np.tile(dates, markets),
            labels=np.tile(labels, markets),
            network=np.tile(network, markets)[None],
            baselines={"prior": np.tile(prior, markets)},
            horizon_days=3,
        )
        for markets in (1, 8)
    )
    for limit in ("low", "mean", "high"):
        assert getattr(eight.differences["prior"], limit) == pytest.approx(
            getattr(one.differences["prior"], limit)
        )
    assert eight.blocks == one.blocks


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

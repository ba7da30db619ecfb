"""The scores of a trial: what their intervals rest on, and where its skill comes from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from mlproject.analysis.claims.score_influences import (
    auc_influences,
    average_precision_influences,
)
from mlproject.analysis.claims.trial_scores import trial_scores
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.tracking.names import Metric
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.scores import block_losses, prior_loss


@pytest.fixture(scope="module")
def data() -> WindowedData:
    return build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("1pct"))


def scores_of(
    data: WindowedData, logits: np.ndarray, epochs: tuple[EpochMetrics, ...] = ()
) -> dict[Metric, float]:
    prior = prior_loss(data.labels[data.validation], data.base_rate)
    return trial_scores(data, logits.tolist(), epochs, prior_loss=prior)


def logit(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))


@pytest.mark.parametrize(
    ("influences", "score"),
    [
        (auc_influences, roc_auc_score),
        (average_precision_influences, average_precision_score),
    ],
)
def test_influences_are_what_a_score_moves_by(influences, score) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(60) < 0.4).astype(np.float64)
    said = np.round(rng.normal(size=60) + labels, 1)  # with ties
    found = influences(said, labels)
    assert found.mean() == pytest.approx(score(labels, said))
    for place in range(60):
        weights = np.ones(60)
        weights[place] += 1e-6
        moved = (score(labels, said, sample_weight=weights) - score(labels, said)) / 1e-6
        assert (found[place] - found.mean()) / 60 == pytest.approx(moved, abs=1e-6)


def test_who_expects_the_right_share_of_rises_alone_tells_no_days_apart(
    data: WindowedData,
) -> None:
    labels = data.labels[data.validation].numpy()
    rate = labels.mean()
    assert abs(rate - data.base_rate) > 0.02
    found = scores_of(data, np.full(len(labels), logit(rate)))
    assert found[Metric.SKILL_DISCRIMINATION] == pytest.approx(0, abs=1e-9)
    assert found[Metric.SKILL_BASE_RATE] > 0.005
    prior = scores_of(data, np.full(len(labels), logit(data.base_rate)))
    assert prior[Metric.SKILL_BASE_RATE] == pytest.approx(0, abs=1e-6)
    assert prior[Metric.SKILL_LOW] == pytest.approx(0, abs=1e-6)


def test_a_shift_of_all_logits_moves_the_part_of_the_base_rate_alone(data: WindowedData) -> None:
    labels = data.labels[data.validation].numpy()
    said = np.random.default_rng(0).normal(size=len(labels)) + 0.8 * labels
    one, other = scores_of(data, said - 1), scores_of(data, said + 0.3)
    discrimination = (Metric.SKILL_DISCRIMINATION, Metric.SKILL_DISCRIMINATION_LOW)
    for metric in (*discrimination, Metric.VAL_AUC_LOW, Metric.VAL_AVERAGE_PRECISION_HIGH):
        assert one[metric] == pytest.approx(other[metric], abs=1e-6)
    assert one[Metric.SKILL_DISCRIMINATION_LOW] > 0
    assert one[Metric.SKILL_BASE_RATE] != pytest.approx(other[Metric.SKILL_BASE_RATE], abs=1e-2)
    losses = np.logaddexp(0, np.where(labels > 0.5, 1 - said, said - 1))
    prior = prior_loss(data.labels[data.validation], data.base_rate)
    parts = one[Metric.SKILL_DISCRIMINATION] + one[Metric.SKILL_BASE_RATE]
    assert parts == pytest.approx(1 - losses.mean() / prior, abs=1e-6)
    assert one[Metric.SKILL_LOW] < parts < one[Metric.SKILL_HIGH]
    auc = roc_auc_score(labels, said)
    assert one[Metric.VAL_AUC_LOW] < auc < one[Metric.VAL_AUC_HIGH]


def test_markets_that_move_as_one_are_no_more_days(data: WindowedData) -> None:
    """Each window twice, on the same day: the intervals are those of one."""
    labels = data.labels[data.validation].numpy()
    said = np.random.default_rng(0).normal(size=len(labels)) + 0.8 * labels
    twice = replace(data, validation=data.validation.repeat(2))
    once, both = scores_of(data, said), scores_of(twice, np.tile(said, 2))
    for metric, value in once.items():
        assert both[metric] == pytest.approx(value, abs=2e-4), metric


def test_what_cannot_be_told_has_no_metric(data: WindowedData) -> None:
    ends = data.validation
    said = np.linspace(-1, 1, len(ends))
    of_one_class = replace(data, labels=torch.zeros_like(data.labels))
    one_class = scores_of(of_one_class, said)
    assert not [metric for metric in one_class if "auc" in metric or "base_rate" in metric]
    assert Metric.VAL_ACCURACY_LOW in one_class
    one_day = scores_of(replace(data, validation=ends[:1]), said[:1])
    assert not [metric for metric in one_day if metric.endswith((".low", ".high"))]


def test_the_luck_of_the_epoch_is_taken_off(data: WindowedData) -> None:
    """Twenty epochs of noise around the prior: one is lowest, and none is better."""
    labels, prior = data.labels[data.validation], logit(data.base_rate)
    rng = np.random.default_rng(0)
    lucky, left = [], []
    for _ in range(40):
        epochs = []
        for epoch in range(1, 21):
            drift = np.repeat(rng.normal(0, 0.15, 12), 100)[: len(labels)]
            said = torch.from_numpy(prior + drift).float()
            blocks = block_losses(said, labels, data.validation_blocks)
            weights = np.bincount(data.validation_blocks) / len(labels)
            epochs.append(
                EpochMetrics(
                    epoch=epoch,
                    train_loss=None,
                    val_loss=float(weights @ blocks),
                    val_block_losses=blocks,
                )
            )
        found = scores_of(data, np.full(len(labels), prior), tuple(epochs))
        left.append(found[Metric.SKILL_ADJUSTED])
        best = min(each.val_loss for each in epochs)
        lucky.append(1 - best / prior_loss(labels, data.base_rate))
    assert np.mean(lucky) > 0.003
    assert np.mean(left) < 0.2 * np.mean(lucky)
    assert Metric.SKILL_ADJUSTED not in scores_of(data, np.zeros(len(labels)), ())

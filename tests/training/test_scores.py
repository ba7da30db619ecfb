"""Scores of predictions."""

import math

import pytest
import torch

from mlproject.training.scores import prior_loss, score


def test_perfect_and_reversed_predictions() -> None:
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0])
    perfect = score(torch.tensor([-2.0, -1.0, 1.0, 2.0]), labels)
    assert (perfect.auc, perfect.average_precision, perfect.accuracy) == (1.0, 1.0, 1.0)
    reversed_ = score(torch.tensor([2.0, 1.0, -1.0, -2.0]), labels)
    assert reversed_.auc == 0.0
    assert reversed_.accuracy == 0.0


def test_one_class_alone_has_no_auc() -> None:
    scores = score(torch.tensor([1.0, -1.0]), torch.tensor([1.0, 1.0]))
    assert scores.auc is None
    assert scores.average_precision is None
    assert scores.accuracy == pytest.approx(0.5)


def test_prior_loss_is_the_entropy_when_the_rates_agree() -> None:
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert prior_loss(labels, 0.25) == pytest.approx(entropy, rel=1e-6)
    assert prior_loss(labels, 0.6) > entropy

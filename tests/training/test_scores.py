"""Scores of predictions."""

import pytest
import torch

from mlproject.training.scores import score


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

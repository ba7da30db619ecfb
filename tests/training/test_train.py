"""A final training beside the training of a trial."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.loop import TrainingDiverged
from mlproject.training.step import predict
from mlproject.training.train import train, train_final
from tests.training.small_training import ARCHITECTURE, SETTINGS


def test_a_final_training_is_the_trial_without_its_validation(data: WindowedData) -> None:
    watched: list[EpochMetrics] = []

    def stop_at_two(losses: EpochMetrics) -> bool:
        watched.append(losses)
        return losses.epoch == 2

    train(ARCHITECTURE, data, SETTINGS, stop_at_two)
    unvalidated = replace(data, validation=data.validation[:0], test=data.test[:0])
    heard: list[float] = []
    network = train_final(ARCHITECTURE, unvalidated, SETTINGS, epochs=2, on_epoch=heard.append)
    assert heard == [losses.train_loss for losses in watched]
    logits = predict(network, data, data.validation)
    loss = functional.binary_cross_entropy_with_logits(logits, data.labels[data.validation])
    assert loss.item() == watched[-1].val_loss


def test_a_final_training_that_diverges_says_so(data: WindowedData) -> None:
    broken = replace(data, labels=torch.full_like(data.labels, math.nan))
    with pytest.raises(TrainingDiverged, match="diverged in epoch 1"):
        train_final(ARCHITECTURE, broken, SETTINGS, epochs=2, on_epoch=lambda _: None)

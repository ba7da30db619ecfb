"""The model that a training begins with."""

import torch

from mlproject.data.windows import WindowedData
from mlproject.training.initial_model import build_model
from mlproject.training.step import predict
from tests.training.small_training import ARCHITECTURE, SETTINGS


def test_an_untrained_model_predicts_the_base_rate(data: WindowedData) -> None:
    model = build_model(ARCHITECTURE, data, SETTINGS)
    probability = torch.sigmoid(predict(model, data, data.validation))
    torch.testing.assert_close(probability, torch.full_like(probability, data.base_rate))

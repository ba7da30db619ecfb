"""The model that a training begins with: fresh weights that predict the training base rate.

Training so begins at the prior's loss (`scores.prior_loss`), however deep the architecture.
"""

import math

import torch

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.plan import FP32_ADAMW, TrainingPlan
from mlproject.training.settings import TrainingSettings


def build_model(
    architecture: Architecture,
    data: WindowedData,
    settings: TrainingSettings,
    plan: TrainingPlan = FP32_ADAMW,
) -> PatchTST:
    """A fresh model on the device of the data; its weights follow from the settings' seed."""
    torch.manual_seed(settings.seed)
    model = PatchTST.build(
        architecture,
        num_features=data.n_features,
        device=data.features.device,
        matrix_dtype=plan.precision.dtype,
        seed_of_names=seed_of_names(settings),
    )
    predict_base_rate(model, data)
    return model


def seed_of_names(settings: TrainingSettings) -> int | None:
    """The seed from which each matrix is drawn by its name; None where one follows the other."""
    return settings.seed if settings.recipe.draws_by_name else None


@torch.no_grad()
def predict_base_rate(model: PatchTST, data: WindowedData) -> None:
    """Make a fresh model predict the training base rate for every window."""
    model.head.weight.zero_()
    model.head.bias.fill_(math.log(data.base_rate / (1 - data.base_rate)))

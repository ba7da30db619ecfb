"""The validation losses of each market."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlproject.data.windows import WindowedData
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.market_losses import market_losses, market_prior_losses
from mlproject.training.train import train
from tests.training.small_training import ARCHITECTURE, SETTINGS


@pytest.fixture
def three(data: WindowedData) -> WindowedData:
    """The same rows as those of three markets: the second has a third of the validation windows,
    the third all others and no training window, the first none to validate on."""
    starts = [0, data.train[400], data.validation[42], len(data.dates)]
    return replace(data, markets=("a", "b", "c"), market_starts=np.array(starts))


def test_they_are_the_means_over_the_windows_of_each(three: WindowedData) -> None:
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(three.validation), generator=generator)
    three = replace(three, validation=three.validation[order])
    ends = three.validation
    logits = torch.randn(len(ends), generator=generator)
    right = torch.where(three.labels[ends] > 0.5, logits, -logits).sigmoid().log().neg()
    first, second, third = market_losses(three, logits)
    assert first is None
    assert second == pytest.approx(right[order < 42].mean().item())
    assert third == pytest.approx(right[order >= 42].mean().item())


def test_the_prior_of_a_market_is_its_own_base_rate(three: WindowedData) -> None:
    of_a, of_b, of_c = market_prior_losses(
        replace(three, validation=torch.cat([three.train[:7], three.validation]))
    )

    def loss(ends: torch.Tensor, known: torch.Tensor) -> float:
        rises = three.labels[known].sum().item() + three.base_rate
        rate = rises / (len(known) + 1)
        share = three.labels[ends].mean().item()
        return float(-share * np.log(rate) - (1 - share) * np.log(1 - rate))

    assert of_a == pytest.approx(loss(three.train[:7], three.train[:400]))
    assert of_b == pytest.approx(loss(three.validation[:42], three.train[400:]))
    # A market without a training window has the base rate of all.
    assert of_c == pytest.approx(loss(three.validation[42:], three.train[:0]))


def test_a_training_tells_them_of_its_best_epoch(three: WindowedData, data: WindowedData) -> None:
    def go_on(_losses: EpochMetrics) -> bool:
        return False

    several = train(ARCHITECTURE, three, SETTINGS, go_on)
    first, second, third = several.market_losses
    assert first is None
    assert second is not None and third is not None
    mean = (second * 42 + third * (len(three.validation) - 42)) / len(three.validation)
    assert mean == pytest.approx(several.best_val_loss)
    one = train(ARCHITECTURE, data, SETTINGS, go_on)
    assert one.market_losses == ()
    assert one.best_val_loss == several.best_val_loss

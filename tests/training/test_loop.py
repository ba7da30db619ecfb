"""The training loop: it learns, it repeats, it stops when it should."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.initial_model import build_model
from mlproject.training.result import StopReason
from mlproject.training.scores import prior_loss
from mlproject.training.step import predict
from mlproject.training.train import train
from tests.training.small_training import ARCHITECTURE, SETTINGS


@pytest.fixture(scope="module")
def separable(data: WindowedData) -> WindowedData:
    """The same windows with a label that can be learnt: did the close rise over ten days?"""
    close = data.features[:, data.feature_names.index("close")]
    risen = (close[10:] > close[:-10]).float()
    labels = torch.cat([torch.full((10,), math.nan), risen])
    rate = labels[data.train].mean().item()
    return replace(data, labels=labels, base_rate=rate)


def _keep_going(_losses: EpochMetrics) -> bool:
    return False


def test_it_learns_what_can_be_learnt(separable: WindowedData) -> None:
    result = train(ARCHITECTURE, separable, replace(SETTINGS, epochs=8), _keep_going)
    prior = prior_loss(separable.labels[separable.validation], separable.base_rate)
    assert result.best_val_loss is not None
    assert result.best_val_loss < 0.6 * prior
    assert result.best_scores is not None
    assert result.best_scores.auc is not None
    assert result.best_scores.auc > 0.9


def test_the_same_seed_gives_the_same_training(data: WindowedData) -> None:
    histories: list[list[EpochMetrics]] = [[], [], []]
    for history, seed in zip(histories, (7, 7, 8), strict=True):

        def keep(losses: EpochMetrics, history: list[EpochMetrics] = history) -> bool:
            history.append(losses)
            return False

        train(ARCHITECTURE, data, replace(SETTINGS, seed=seed), keep)
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_the_reported_losses_are_those_of_the_model(data: WindowedData) -> None:
    seen: list[EpochMetrics] = []
    result = train(ARCHITECTURE, data, SETTINGS, lambda losses: bool(seen.append(losses)))
    assert [losses.epoch for losses in seen] == [1, 2, 3]
    assert result.epochs_run == 3
    assert result.stop_reason is StopReason.ALL_EPOCHS
    assert result.best_val_loss == min(losses.val_loss for losses in seen)
    assert result.best_epoch is not None
    assert seen[result.best_epoch - 1].val_loss == result.best_val_loss


def test_the_callback_can_stop_it(data: WindowedData) -> None:
    result = train(ARCHITECTURE, data, SETTINGS, lambda losses: losses.epoch == 2)
    assert result.stop_reason is StopReason.STOPPED
    assert result.epochs_run == 2


def test_it_stops_early_without_improvement(data: WindowedData) -> None:
    # Weights that hardly move: the first epoch's loss is beaten by noise at most.
    still = replace(SETTINGS, learning_rate=1e-12, epochs=30, patience_epochs=2, dropout=0.0)
    result = train(ARCHITECTURE, data, still, _keep_going)
    assert result.stop_reason is StopReason.NO_IMPROVEMENT
    assert result.epochs_run < 30


def test_a_loss_that_is_not_finite_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.train[-1]] = math.inf
    broken = replace(data, features=features)
    result = train(ARCHITECTURE, broken, SETTINGS, _keep_going)
    assert result.stop_reason is StopReason.DIVERGED
    assert result.best_val_loss is None
    assert result.best_scores is None
    assert result.epochs_run == 1


def test_a_validation_loss_alone_that_is_no_number_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.validation[-1]] = math.nan
    broken = replace(data, features=features)
    result = train(ARCHITECTURE, broken, SETTINGS, _keep_going)
    assert result.stop_reason is StopReason.DIVERGED
    assert result.epochs_run == 1
    assert result.best_val_loss is None


def test_a_loss_that_explodes_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.train] *= torch.linspace(1, 1e4, len(data.train)).unsqueeze(1)
    wild = replace(SETTINGS, learning_rate=50.0, warmup_steps=0, epochs=30)
    seen: list[EpochMetrics] = []
    result = train(
        ARCHITECTURE,
        replace(data, features=features),
        wild,
        lambda losses: bool(seen.append(losses)),
    )
    assert result.stop_reason is StopReason.DIVERGED
    assert len(seen) == result.epochs_run - 1
    assert all(losses.val_loss <= 10 for losses in seen)


def test_it_measures_itself(data: WindowedData) -> None:
    result = train(ARCHITECTURE, data, replace(SETTINGS, epochs=1), _keep_going)
    assert result.duration_seconds > 0
    assert result.samples_per_second > 0
    assert result.peak_memory_bytes > 10**7


def test_the_test_span_is_not_touched(data: WindowedData) -> None:
    results = []
    for last_feature in (0.0, 1e6):
        features = data.features.clone()
        features[data.test] = last_feature
        changed = replace(data, features=features)
        results.append(train(ARCHITECTURE, changed, SETTINGS, _keep_going).best_val_loss)
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"epochs": 0},
        {"batch_size": 0},
        {"weight_decay": -1.0},
        {"dropout": 1.0},
    ],
)
def test_settings_that_cannot_train_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        replace(SETTINGS, **bad)


def test_the_loss_is_the_mean_over_windows_whatever_the_last_batch_holds(
    data: WindowedData,
) -> None:
    # 100 windows in batches of 64 and 36, a learning rate that changes nothing.
    few = replace(data, train=data.train[:100])
    still = replace(SETTINGS, learning_rate=1e-12, dropout=0.0, epochs=1)
    seen: list[EpochMetrics] = []
    train(ARCHITECTURE, few, still, lambda losses: bool(seen.append(losses)))
    model = build_model(ARCHITECTURE, few, still)
    logits = predict(model, few, few.train)
    expected = functional.binary_cross_entropy_with_logits(logits, few.labels[few.train])
    assert seen[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


def test_max_steps_caps_training_and_no_validation_window_is_passed_over(
    data: WindowedData,
) -> None:
    capped = replace(SETTINGS, max_steps=1, epochs=2)
    steps: list[tuple[int, int]] = []
    whole: list[EpochMetrics] = []
    train(
        ARCHITECTURE,
        data,
        capped,
        lambda losses: bool(whole.append(losses)),
        on_step=lambda *step: steps.append(step),
    )
    assert steps == [(1, 1), (1, 1)]
    turned = replace(data, validation=data.validation.flip(0))
    same: list[EpochMetrics] = []
    train(ARCHITECTURE, turned, capped, lambda losses: bool(same.append(losses)))
    assert [e.val_loss for e in same] == pytest.approx([e.val_loss for e in whole], abs=1e-6)

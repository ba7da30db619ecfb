"""The training loop: it learns, it repeats, it stops when it should."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training import loop
from mlproject.training.epoch_losses import EpochLosses
from mlproject.training.loop import (
    Ending,
    TrainingDiverged,
    build_model,
    learning_rate_factor,
    prior_loss,
    train,
    train_final,
)
from mlproject.training.plan import (
    FP32_ADAMW,
    Layout,
    OptimiserName,
    Precision,
    TrainingPlan,
)
from mlproject.training.settings import TrainingSettings
from mlproject.training.step import predict

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=2, n_heads=4, d_ff=128, param_count=0)
SETTINGS = TrainingSettings(
    learning_rate=1e-3,
    epochs=3,
    batch_size=64,
    weight_decay=1e-4,
    warmup_steps=5,
    dropout=0.1,
    seed=7,
)


@pytest.fixture(scope="module")
def data() -> WindowedData:
    """Real bars, the training span shortened to 512 windows and the validation to 128."""
    whole = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    return replace(whole, train=whole.train[-512:], validation=whole.validation[:128])


@pytest.fixture(scope="module")
def separable(data: WindowedData) -> WindowedData:
    """The same windows with a label that can be learnt: did the close rise over ten days?"""
    close = data.features[:, data.feature_names.index("close")]
    risen = (close[10:] > close[:-10]).float()
    labels = torch.cat([torch.full((10,), math.nan), risen])
    rate = labels[data.train].mean().item()
    return replace(data, labels=labels, base_rate=rate)


def _keep_going(_losses: EpochLosses) -> bool:
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
    histories: list[list[EpochLosses]] = [[], [], []]
    for history, seed in zip(histories, (7, 7, 8), strict=True):

        def keep(losses: EpochLosses, history: list[EpochLosses] = history) -> bool:
            history.append(losses)
            return False

        train(ARCHITECTURE, data, replace(SETTINGS, seed=seed), keep)
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_an_untrained_model_predicts_the_base_rate(data: WindowedData) -> None:
    model = build_model(ARCHITECTURE, data, SETTINGS)
    probability = torch.sigmoid(predict(model, data, data.validation))
    torch.testing.assert_close(probability, torch.full_like(probability, data.base_rate))


def test_prior_loss_is_the_entropy_when_the_rates_agree() -> None:
    labels = torch.tensor([1.0, 0.0, 0.0, 0.0])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert prior_loss(labels, 0.25) == pytest.approx(entropy, rel=1e-6)
    assert prior_loss(labels, 0.6) > entropy


def test_the_reported_losses_are_those_of_the_model(data: WindowedData) -> None:
    seen: list[EpochLosses] = []
    result = train(ARCHITECTURE, data, SETTINGS, lambda losses: bool(seen.append(losses)))
    assert [losses.epoch for losses in seen] == [1, 2, 3]
    assert result.epochs_run == 3
    assert result.ending is Ending.ALL_EPOCHS
    assert result.best_val_loss == min(losses.val_loss for losses in seen)
    assert result.best_epoch is not None
    assert seen[result.best_epoch - 1].val_loss == result.best_val_loss


def test_the_callback_can_stop_it(data: WindowedData) -> None:
    result = train(ARCHITECTURE, data, SETTINGS, lambda losses: losses.epoch == 2)
    assert result.ending is Ending.STOPPED
    assert result.epochs_run == 2


def test_it_stops_early_without_improvement(data: WindowedData) -> None:
    # Weights that hardly move: the first epoch's loss is beaten by noise at most.
    still = replace(SETTINGS, learning_rate=1e-12, epochs=30, patience_epochs=2, dropout=0.0)
    result = train(ARCHITECTURE, data, still, _keep_going)
    assert result.ending is Ending.NO_IMPROVEMENT
    assert result.epochs_run < 30


def test_a_loss_that_is_not_finite_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.train[-1]] = math.inf
    broken = replace(data, features=features)
    result = train(ARCHITECTURE, broken, SETTINGS, _keep_going)
    assert result.ending is Ending.DIVERGED
    assert result.best_val_loss is None
    assert result.best_scores is None
    assert result.epochs_run == 1


def test_a_validation_loss_alone_that_is_no_number_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.validation[-1]] = math.nan
    broken = replace(data, features=features)
    result = train(ARCHITECTURE, broken, SETTINGS, _keep_going)
    assert result.ending is Ending.DIVERGED
    assert result.epochs_run == 1
    assert result.best_val_loss is None


def test_a_loss_that_explodes_ends_it_as_diverged(data: WindowedData) -> None:
    features = data.features.clone()
    features[data.train] *= torch.linspace(1, 1e4, len(data.train)).unsqueeze(1)
    wild = replace(SETTINGS, learning_rate=50.0, warmup_steps=0, epochs=30)
    seen: list[EpochLosses] = []
    result = train(
        ARCHITECTURE,
        replace(data, features=features),
        wild,
        lambda losses: bool(seen.append(losses)),
    )
    assert result.ending is Ending.DIVERGED
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


def test_the_learning_rate_warms_up_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(s, warmup_steps=10, total_steps=100) for s in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert factors[10] == pytest.approx(1.0)
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_a_warm_up_longer_than_the_training_never_leaves_the_ramp() -> None:
    factors = [learning_rate_factor(s, warmup_steps=500, total_steps=10) for s in range(10)]
    assert factors == [(s + 1) / 500 for s in range(10)]


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
    seen: list[EpochLosses] = []
    train(ARCHITECTURE, few, still, lambda losses: bool(seen.append(losses)))
    model = build_model(ARCHITECTURE, few, still)
    logits = predict(model, few, few.train)
    expected = functional.binary_cross_entropy_with_logits(logits, few.labels[few.train])
    assert seen[0].train_loss == pytest.approx(expected.item(), rel=1e-5)


def test_max_steps_caps_training_and_validation(data: WindowedData) -> None:
    capped = replace(SETTINGS, max_steps=1, epochs=2)
    steps: list[tuple[int, int]] = []
    few: list[EpochLosses] = []
    train(
        ARCHITECTURE,
        data,
        capped,
        lambda losses: bool(few.append(losses)),
        on_step=lambda *step: steps.append(step),
    )
    assert steps == [(1, 1), (1, 1)]
    one_batch = replace(data, validation=data.validation[:64])
    same: list[EpochLosses] = []
    train(ARCHITECTURE, one_batch, capped, lambda losses: bool(same.append(losses)))
    assert few == same


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_precision_and_the_cut_of_a_batch_change_the_losses_by_rounding_only(
    data: WindowedData, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = replace(SETTINGS, dropout=0.0)
    plan = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=precision)
    curves = []
    for layout in (
        Layout(micro_batch=64),
        Layout(micro_batch=32, threads=2),
        Layout(micro_batch=20, checkpoint_every=1),
    ):
        monkeypatch.setattr(loop, "choose_layout", lambda *_, layout=layout: layout)
        curve: list[EpochLosses] = []
        train(ARCHITECTURE, data, still, lambda losses, c=curve: bool(c.append(losses)), plan=plan)
        curves.append([loss for losses in curve for loss in (losses.train_loss, losses.val_loss)])
    exact: list[EpochLosses] = []
    train(ARCHITECTURE, data, still, lambda losses: bool(exact.append(losses)), plan=FP32_ADAMW)
    true = [loss for losses in exact for loss in (losses.train_loss, losses.val_loss)]
    for curve_of_layout in curves:
        assert curve_of_layout == pytest.approx(true, abs=2e-3)


def test_out_of_memory_halves_the_micro_batch_and_goes_on(
    data: WindowedData, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = PatchTST.forward

    def forward(self: PatchTST, windows: torch.Tensor, *rest: Dropout, **more: int) -> torch.Tensor:
        if len(windows) > 20 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, windows, *rest, **more)

    monkeypatch.setattr(PatchTST, "forward", forward)
    seen: list[EpochLosses] = []
    train(
        ARCHITECTURE,
        data,
        replace(SETTINGS, dropout=0.0),
        lambda losses: bool(seen.append(losses)),
        plan=FP32_ADAMW,
    )
    monkeypatch.setattr(PatchTST, "forward", whole)
    undisturbed: list[EpochLosses] = []
    train(
        ARCHITECTURE,
        data,
        replace(SETTINGS, dropout=0.0),
        lambda losses: bool(undisturbed.append(losses)),
        plan=FP32_ADAMW,
    )
    assert "out of memory: micro-batches of 16 windows from now on" in caplog.text
    assert [losses.val_loss for losses in seen] == pytest.approx(
        [losses.val_loss for losses in undisturbed], abs=1e-4
    )


def test_out_of_memory_that_no_cut_helps_is_the_trial_s_failure(
    data: WindowedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(_self: PatchTST, _windows: torch.Tensor, *_: Dropout, **_more: int) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PatchTST, "forward", forward)
    with pytest.raises(torch.OutOfMemoryError):
        train(ARCHITECTURE, data, SETTINGS, _keep_going)


def test_a_final_training_is_the_trial_without_its_validation(data: WindowedData) -> None:
    watched: list[EpochLosses] = []

    def stop_at_two(losses: EpochLosses) -> bool:
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

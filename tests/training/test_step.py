"""A step, however its batch is cut."""

from dataclasses import replace

import pytest
import torch

from mlproject.data.windows import WindowedData
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training import train as one_device
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.plan import (
    FP32_ADAMW,
    Layout,
    OptimiserName,
    Precision,
    TrainingPlan,
)
from mlproject.training.train import train
from tests.training.small_training import ARCHITECTURE, SETTINGS


@pytest.mark.slow
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
        monkeypatch.setattr(one_device, "choose_layout", lambda *_, layout=layout: layout)
        curve: list[EpochMetrics] = []
        train(ARCHITECTURE, data, still, lambda losses, c=curve: bool(c.append(losses)), plan=plan)
        curves.append([loss for losses in curve for loss in (losses.train_loss, losses.val_loss)])
    exact: list[EpochMetrics] = []
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
    seen: list[EpochMetrics] = []
    train(
        ARCHITECTURE,
        data,
        replace(SETTINGS, dropout=0.0),
        lambda losses: bool(seen.append(losses)),
        plan=FP32_ADAMW,
    )
    monkeypatch.setattr(PatchTST, "forward", whole)
    undisturbed: list[EpochMetrics] = []
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
        train(ARCHITECTURE, data, SETTINGS, lambda _losses: False)

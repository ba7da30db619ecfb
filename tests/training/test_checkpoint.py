"""A training that was killed goes on as if nothing had happened."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.plan import FP32_ADAMW, OptimiserName, Precision, TrainingPlan
from mlproject.training.result import TrainingResult
from mlproject.training.settings import TrainingSettings
from mlproject.training.step import TrainingStep
from mlproject.training.train import train

ARCHITECTURE = Architecture(
    arch_idx=0, d_model=64, n_layers=2, n_heads=4, d_ff=128, param_count=80_000
)
SETTINGS = TrainingSettings(
    learning_rate=1e-3,
    epochs=4,
    batch_size=64,
    weight_decay=1e-2,
    warmup_steps=5,
    dropout=0.2,
    seed=7,
)
PLANS = [
    FP32_ADAMW,
    TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision.BF16),
    TrainingPlan(optimiser=OptimiserName.ADAFACTOR, precision=Precision.BF16),
]
STEPS_PER_EPOCH = 4


class Killed(BaseException):
    """Stands for a process that ends between two steps."""


def _data() -> WindowedData:
    """Half of the validation windows in each of two markets."""
    whole = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    return replace(
        whole,
        train=whole.train[-250:],
        validation=whole.validation[:128],
        markets=("early", "late"),
        market_starts=np.array([0, whole.validation[64], len(whole.dates)]),
    )


@pytest.fixture(scope="module")
def data() -> WindowedData:
    return _data()


def _train(
    data: WindowedData,
    plan: TrainingPlan,
    checkpoint: CheckpointFile | None,
    *,
    kill_after: int = -1,
    settings: TrainingSettings = SETTINGS,
) -> tuple[TrainingResult, list[EpochMetrics]]:
    seen: list[EpochMetrics] = []
    steps = 0

    def on_step(_step: int, _steps: int) -> None:
        nonlocal steps
        if steps == kill_after:
            raise Killed
        steps += 1

    result = train(
        ARCHITECTURE,
        data,
        settings,
        lambda losses: bool(seen.append(losses)),
        plan=plan,
        checkpoint=checkpoint,
        on_step=on_step,
    )
    return result, seen


def _file(folder: Path, **changes: str) -> CheckpointFile:
    return CheckpointFile(
        path=folder / "checkpoints" / "trial_0.pt",
        study={"data_digest": "abc"} | changes,
        save_every_seconds=0.0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.optimiser}-{plan.precision}")
@pytest.mark.parametrize("kills", [(0,), (6,), (7, 3, 5)])
def test_it_goes_on_bit_for_bit(
    data: WindowedData, tmp_path: Path, plan: TrainingPlan, kills: tuple[int, ...]
) -> None:
    undisturbed, losses = _train(data, plan, None)
    for kill_after in kills:
        with pytest.raises(Killed):
            _train(data, plan, _file(tmp_path), kill_after=kill_after)
    again, losses_again = _train(data, plan, _file(tmp_path))
    assert losses_again == losses
    assert again.best_val_loss == undisturbed.best_val_loss
    assert again.best_epoch == undisturbed.best_epoch
    assert again.best_scores == undisturbed.best_scores
    assert again.market_losses == undisturbed.market_losses
    assert again.epochs_run == undisturbed.epochs_run == 4


def test_what_was_done_is_not_done_again(data: WindowedData, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _train(data, FP32_ADAMW, _file(tmp_path), kill_after=3 * STEPS_PER_EPOCH)
    with pytest.raises(Killed):  # the step that was cut off, and then the next one
        _train(data, FP32_ADAMW, _file(tmp_path), kill_after=1)
    _train(data, FP32_ADAMW, _file(tmp_path), kill_after=STEPS_PER_EPOCH)  # never gets there


def test_its_duration_includes_the_part_of_an_epoch_before_the_kill(
    data: WindowedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingStep.run

    def run_slowly(*arguments: Any) -> Tensor:
        time.sleep(0.5)
        return run(*arguments)

    monkeypatch.setattr(TrainingStep, "run", run_slowly)
    with pytest.raises(Killed):
        _train(data, FP32_ADAMW, _file(tmp_path), kill_after=3)
    monkeypatch.undo()
    begun = time.perf_counter()
    again, _ = _train(data, FP32_ADAMW, _file(tmp_path))
    assert again.duration_seconds > time.perf_counter() - begun + 0.5


def test_the_earlier_epochs_are_told_again_and_can_stop_it(
    data: WindowedData, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        _train(data, FP32_ADAMW, _file(tmp_path), kill_after=3 * STEPS_PER_EPOCH)
    seen: list[int] = []

    def stop_at_two(losses: EpochMetrics) -> bool:
        seen.append(losses.epoch)
        return losses.epoch == 2

    again = train(ARCHITECTURE, data, SETTINGS, stop_at_two, checkpoint=_file(tmp_path))
    assert seen == [1, 2]
    # Of the best epoch, which no later one was.
    assert again.best_val_loss is not None
    assert sum(loss or 0 for loss in again.market_losses) / 2 == pytest.approx(again.best_val_loss)


@pytest.mark.parametrize("what", ["settings", "plan", "study"])
def test_the_checkpoint_of_another_training_is_not_used(
    data: WindowedData, tmp_path: Path, what: str
) -> None:
    with pytest.raises(Killed):
        _train(data, FP32_ADAMW, _file(tmp_path), kill_after=9)
    settings = replace(SETTINGS, dropout=0.1) if what == "settings" else SETTINGS
    plan = PLANS[1] if what == "plan" else FP32_ADAMW
    file = _file(tmp_path, data_digest="other") if what == "study" else _file(tmp_path)
    fresh = _train(data, plan, None, settings=settings)
    found = _train(data, plan, file, settings=settings)
    assert found[1] == fresh[1]


def test_a_training_that_had_ended_early_is_not_trained_on(
    data: WindowedData, tmp_path: Path
) -> None:
    still = replace(SETTINGS, learning_rate=1e-12, epochs=30, patience_epochs=2, dropout=0.0)
    ended, losses = _train(data, FP32_ADAMW, _file(tmp_path), settings=still)
    assert ended.epochs_run < 30
    # The process died before it could remove the file.
    again, losses_again = _train(data, FP32_ADAMW, _file(tmp_path), settings=still)
    assert losses_again == losses
    assert again.stop_reason is ended.stop_reason


def test_a_disk_that_is_full_costs_the_checkpoint_only(
    data: WindowedData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    _, losses = _train(data, FP32_ADAMW, _file(tmp_path))
    assert len(losses) == 4
    assert "the checkpoint could not be saved" in caplog.text


def test_a_short_training_saves_nothing(data: WindowedData, tmp_path: Path) -> None:
    file = replace(_file(tmp_path), save_every_seconds=120.0)
    _train(data, FP32_ADAMW, file)
    assert not file.path.parent.exists()


@pytest.mark.slow
def test_kill_9_in_the_middle_of_saving_leaves_a_whole_file(tmp_path: Path) -> None:
    """A real process that saves all the time, killed at moments it cannot choose."""
    undisturbed, losses = _train(_data(), PLANS[1], None)
    script = f"""
from tests.training.test_checkpoint import *
from tests.training.test_checkpoint import _data, _file, _train
torch.set_num_threads({torch.get_num_threads()})
data = _data()
print("ready", flush=True)
_train(data, PLANS[1], _file(Path({str(tmp_path)!r})))
"""
    for delay in (0.05, 0.2, 0.35):
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path.cwd()
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
    again, losses_again = _train(_data(), PLANS[1], _file(tmp_path))
    assert losses_again == losses
    assert again.best_val_loss == undisturbed.best_val_loss


def test_a_checkpoint_that_holds_code_does_not_run_it(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path}/owned",)

    path = tmp_path / "trial_0.pt"
    torch.save({"of": Payload()}, path)
    with pytest.raises(pickle.UnpicklingError):
        CheckpointFile(path=path, study={}).load({})
    assert not (tmp_path / "owned").exists()

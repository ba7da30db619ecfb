"""A training that several processes share is the training of one process."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture
from mlproject.training import train as one_device
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.loop import OnStep
from mlproject.training.plan import FP32_ADAMW, Layout, OptimiserName, Precision, TrainingPlan
from mlproject.training.result import StopReason, TrainingResult
from mlproject.training.settings import TrainingSettings
from mlproject.training.sharded import train as several_devices
from mlproject.training.sharded.processes import ProcessFailed
from mlproject.training.sharded.train import train_sharded
from mlproject.training.train import train
from tests.end_to_end.processes import environment, is_alive, wait_until

pytestmark = pytest.mark.slow

TWO = (torch.device("cpu"),) * 2
ARCHITECTURE = Architecture(
    arch_idx=0, d_model=64, n_layers=3, n_heads=4, d_ff=128, param_count=119_000
)
SETTINGS = TrainingSettings(
    learning_rate=1e-3,
    epochs=3,
    batch_size=64,
    weight_decay=1e-2,
    warmup_steps=5,
    dropout=0.2,
    seed=7,
    gradient_clip_norm=0.2,  # less than most gradients here
)
BF16_ADAMW = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision.BF16)
CHECKPOINTED = Layout(micro_batch=16, checkpoint_every=2)
"""Two rounds a batch; the last batch of an epoch has three parts, so one process idles in it."""


def _data() -> WindowedData:
    """Half of the validation windows in each of two markets."""
    whole = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    return replace(
        whole,
        train=whole.train[-230:],
        validation=whole.validation[:120],
        markets=("early", "late"),
        market_starts=np.array([0, whole.validation[60], len(whole.dates)]),
    )


@pytest.fixture(scope="module")
def data() -> WindowedData:
    return _data()


def _train(
    data: WindowedData,
    layout: Layout,
    *,
    n_processes: int,
    plan: TrainingPlan = FP32_ADAMW,
    checkpoint: CheckpointFile | None = None,
    on_step: OnStep | None = None,
    last_epoch: int = 0,
) -> tuple[TrainingResult, list[EpochMetrics]]:
    seen: list[EpochMetrics] = []

    def on_epoch(losses: EpochMetrics) -> bool:
        seen.append(losses)
        return losses.epoch == last_epoch

    devices = (torch.device("cpu"),) * n_processes
    more = {"devices": devices} if n_processes > 1 else {}
    module = several_devices if n_processes > 1 else one_device
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "choose_layout", lambda *_: layout)
        result = (train_sharded if more else train)(
            ARCHITECTURE,
            data,
            SETTINGS,
            on_epoch,
            plan=plan,
            checkpoint=checkpoint,
            on_step=on_step,
            **more,
        )
    assert active_children() == []
    return result, seen


def _curve(losses: list[EpochMetrics]) -> list[float | None]:
    return [loss for epoch in losses for loss in (epoch.train_loss, epoch.val_loss)]


@dataclass(frozen=True)
class Undisturbed:
    """A training to its end, and what it had saved on the way, as a kill would have left it."""

    result: TrainingResult
    losses: list[EpochMetrics]
    saved: bytes


@pytest.fixture(scope="module")
def undisturbed(data: WindowedData, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    file = _file(tmp_path_factory.mktemp("undisturbed"))
    steps = 0
    saved = b""

    def keep_the_seventh(_step: int, _steps: int) -> None:
        nonlocal steps, saved
        steps += 1
        if steps == 7:
            saved = file.path.with_suffix(".parts").read_bytes()

    result, losses = _train(
        data, CHECKPOINTED, n_processes=2, checkpoint=file, on_step=keep_the_seventh
    )
    return Undisturbed(result, losses, saved)


def _file(folder: Path) -> CheckpointFile:
    return CheckpointFile(path=folder / "trial_0.pt", study={}, save_every_seconds=0.0)


def test_in_fp32_the_curve_is_that_of_one_process(
    data: WindowedData, undisturbed: Undisturbed
) -> None:
    result, losses = undisturbed.result, undisturbed.losses
    alone, alone_losses = _train(data, Layout(micro_batch=16), n_processes=1)
    assert len(losses) == 3
    assert _curve(losses) == pytest.approx(_curve(alone_losses), abs=2e-6)
    assert len(result.market_losses) == 2
    assert result.market_losses == pytest.approx(alone.market_losses, abs=2e-6)
    assert result.best_epoch == alone.best_epoch
    assert result.best_scores == alone.best_scores
    assert result.epochs_run == 3
    assert result.peak_memory_bytes > 10**8


def test_in_bf16_the_curve_is_that_of_one_process_even_if_nothing_can_be_saved(
    data: WindowedData, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in_the_way").touch()
    steps: list[tuple[int, int]] = []
    result, losses = _train(
        data,
        Layout(micro_batch=32),
        n_processes=2,
        plan=BF16_ADAMW,
        last_epoch=2,
        checkpoint=_file(tmp_path / "in_the_way"),
        on_step=lambda *step: steps.append(step),
    )
    alone, alone_losses = _train(
        data, Layout(micro_batch=32), n_processes=1, plan=BF16_ADAMW, last_epoch=2
    )
    assert _curve(losses) == pytest.approx(_curve(alone_losses), abs=1e-4)
    assert result.stop_reason is StopReason.STOPPED
    assert result.epochs_run == alone.epochs_run == 2
    assert steps == [(step, 4) for _ in range(2) for step in range(1, 5)]
    assert "the checkpoint could not be saved" in capfd.readouterr().err


@pytest.mark.parametrize(("n_processes", "tolerance"), [(2, 0.0), (3, 2e-6)])
def test_it_goes_on_as_if_nothing_had_happened(
    data: WindowedData,
    tmp_path: Path,
    undisturbed: Undisturbed,
    n_processes: int,
    tolerance: float,
) -> None:
    file = _file(tmp_path)
    (tmp_path / "trial_0.parts").write_bytes(undisturbed.saved)
    steps: list[int] = []
    result, losses = _train(
        data,
        CHECKPOINTED,
        n_processes=n_processes,
        checkpoint=file,
        on_step=lambda step, _steps: steps.append(step),
    )
    assert 0 < len(steps) <= 3 * 4 - 6  # what was done is not done again
    assert _curve(losses) == pytest.approx(_curve(undisturbed.losses), rel=0, abs=tolerance)
    assert result.best_scores == undisturbed.result.best_scores
    file.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_ends_the_training_at_once(data: WindowedData) -> None:
    killed_at = 0.0

    def kill(step: int, _steps: int) -> None:
        nonlocal killed_at
        if step == 3 and not killed_at:
            killed_at = time.monotonic()
            second = max(active_children(), key=lambda process: process.name)
            os.kill(second.pid, signal.SIGKILL)

    with pytest.raises(ProcessFailed) as caught:
        _train(data, CHECKPOINTED, n_processes=2, on_step=kill)
    assert time.monotonic() - killed_at < 10
    assert str(caught.value) == (
        "process 2 of 2, on cpu, was killed by SIGKILL, as the system does when memory runs out"
    )
    assert active_children() == []


def test_an_error_in_one_process_is_the_reason_not_what_the_others_make_of_it(
    data: WindowedData,
) -> None:
    ends = data.train.clone()
    ends[-1] = 10**6  # a window that is not there, which one of the processes comes upon
    with pytest.raises(ProcessFailed, match=r"process [12] of 2, on cpu, failed with IndexError: "):
        _train(replace(data, train=ends), CHECKPOINTED, n_processes=2)
    assert active_children() == []


def test_no_process_outlives_the_caller(tmp_path: Path) -> None:
    script = """
from tests.training.sharded.test_train import *
from tests.training.sharded.test_train import _data
if __name__ == "__main__":
    many = replace(SETTINGS, epochs=100_000, patience_epochs=100_000)
    train_sharded(ARCHITECTURE, _data(), many, lambda _: print("epoch", flush=True), devices=TWO)
"""
    path = tmp_path / "script.py"
    path.write_text(script)
    with subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, env=environment()
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"epoch\n"
        children = psutil.Process(caller.pid).children(recursive=True)
        assert len(children) >= 2
        caller.kill()
    wait_until(lambda: not any(map(is_alive, children)), "its processes have ended", seconds=20)

"""The memory plan: what it chooses and what it refuses."""

from dataclasses import replace

import pytest
import torch

from mlproject.models.arch_grid import get_architectures_for_budget
from mlproject.training import workload
from mlproject.training.memory_plan import (
    MemoryPlan,
    OneDeviceOnly,
    TooLittleMemory,
    plan_memory,
)
from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
from mlproject.training.workload import Workload

WORKLOAD = Workload(device=torch.device("cpu"), n_features=25, batch_size=256)


def _plan(monkeypatch: pytest.MonkeyPatch, budget: str, gigabytes: float, **asked) -> MemoryPlan:
    monkeypatch.setattr(workload, "free_memory_bytes", lambda _device: int(gigabytes * 1e9))
    return plan_memory(get_architectures_for_budget(budget, 25), WORKLOAD, **asked)


@pytest.mark.parametrize(
    ("budget", "gigabytes", "optimiser"),
    [
        ("2M", 2, "adamw"),
        ("200M", 22, "adamw"),
        ("200M", 3, "adafactor"),
        ("2B", 22, "adafactor"),
        ("2B", 8, "adafactor"),
        ("2B", 70, "adamw"),
    ],
)
def test_the_optimiser_follows_from_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, budget: str, gigabytes: float, optimiser: str
) -> None:
    plan = _plan(monkeypatch, budget, gigabytes)
    assert plan.training.optimiser == optimiser
    assert plan.need.to_be_taken < gigabytes * 1e9


def test_what_cannot_fit_is_refused_with_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLittleMemory) as caught:
        _plan(monkeypatch, "2B", 4)
    said = str(caught.value)
    assert "too little memory on cpu: the architecture of 2,4" in said
    assert "with adafactor in bf16" in said
    assert "3.6 of 4.0 GB free can be used: free " in said
    assert "GB more, use another device, or a smaller budget" in said
    assert "\n" not in said


def test_what_is_asked_for_is_kept_to_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"optimiser": OptimiserName.ADAFACTOR, "precision": Precision.FP32}
    plan = _plan(monkeypatch, "2M", 8, **asked)
    assert plan.training == TrainingPlan(**asked)
    with pytest.raises(TooLittleMemory, match=r"with adamw in .* leave optimiser and precision at"):
        _plan(monkeypatch, "2B", 22, optimiser=OptimiserName.ADAMW)


def test_the_table_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(monkeypatch, "2B", 22)
    _, names, figures = plan.as_text().splitlines()
    row = dict(zip(names.split(), figures.replace(" GB", "").split(), strict=True))
    *parts, total, free = (float(figure) for figure in row.values())
    assert list(row) == [
        *("weights", "gradients", "optimiser", "activations", "process", "total", "free")
    ]
    assert sum(parts) == pytest.approx(total, abs=0.03)
    assert total < free


def test_devices_that_share_a_training_need_less_each_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workload, "free_memory_bytes", lambda _device: int(40e9))
    grid = get_architectures_for_budget("2B", 25)
    asked = {"optimiser": OptimiserName.ADAMW, "precision": Precision.BF16}
    gpu = torch.device("cuda")  # is not touched
    with pytest.raises(TooLittleMemory, match="too little memory on cuda: "):
        plan_memory(grid, Workload.on([gpu], n_features=25, batch_size=256), **asked)
    needs = []
    for n_devices in (2, 4, 8):
        devices = Workload.on([gpu] * n_devices, n_features=25, batch_size=256)
        plan = plan_memory(grid, devices, precision=Precision.BF16)
        assert plan.training == TrainingPlan(**asked)
        assert plan.layout.micro_batch == 256 // n_devices
        assert f"on each of {n_devices} devices:" in plan.as_text()
        needs.append(plan.need.to_be_taken)
    state = grid[-1].param_count * 16
    assert needs[0] > state / 2 and needs[1] > state / 4 and needs[2] > state / 8
    assert needs[0] > 1.9 * needs[1] > 3.6 * needs[2]


def test_devices_that_share_a_training_and_cannot_hold_it_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = replace(WORKLOAD, n_processes=2)
    grid = get_architectures_for_budget("2B", 25)
    monkeypatch.setattr(workload, "free_memory_bytes", lambda _device: int(20e9))
    with pytest.raises(TooLittleMemory, match=r"on each of 2 devices \(cpu\): .* use more devices"):
        plan_memory(grid, two)
    with pytest.raises(OneDeviceOnly, match="adafactor trains a network on one device, not on 2"):
        plan_memory(grid, two, optimiser=OptimiserName.ADAFACTOR)

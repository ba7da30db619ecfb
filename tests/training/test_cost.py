"""The cost of an architecture beside another: as docs/costs.md has it, measured."""

import re
from pathlib import Path

import pytest
import torch

from mlproject.models.arch_grid import architecture_grid
from mlproject.training.cost import EpochShape, cost_of_window
from mlproject.training.layer_speed import step_seconds
from mlproject.training.plan import FP32_ADAMW
from mlproject.training.workload import Workload

_ROW = re.compile(r"\| (\S+) \| (\d+) × (\d+), (\d+), (\d+) \| \w+, bf16 \| ([\d.]+) \|", re.ASCII)


def test_steps_that_were_measured_are_told_within_a_factor_of_two_and_a_half() -> None:
    rows = _ROW.findall(Path("docs/costs.md").read_text(encoding="utf-8"))
    assert len(rows) == 10
    found = []
    for budget, *shape, seconds in rows:
        d_model, n_layers, n_heads, d_ff = map(int, shape)
        (architecture,) = [
            row
            for row in architecture_grid(budget).architectures
            if (row.d_model, row.n_layers, row.n_heads, row.d_ff)
            == (d_model, n_layers, n_heads, d_ff)
        ]
        found.append(cost_of_window(architecture, "cpu") / float(seconds))
    middle = sorted(found)[len(found) // 2]
    assert all(middle / 2.5 < each < middle * 2.5 for each in found)


def test_on_a_gpu_depth_costs_more_than_width() -> None:
    grid = architecture_grid("2M").architectures
    wide, deep = min(grid, key=lambda row: row.n_layers), max(grid, key=lambda row: row.n_layers)
    ratios = [cost_of_window(deep, kind) / cost_of_window(wide, kind) for kind in ("cpu", "cuda")]
    assert 5 < ratios[0] < 10 < ratios[1]


def test_an_epoch_is_over_when_it_is_validated() -> None:
    shape = EpochShape(steps=14, training_windows=3338, validation_windows=713)
    assert shape.done(14, 14) == pytest.approx(3338 / (3338 + 713 / 3))
    assert shape.done(7, 14) == shape.done(14, 14) / 2


def test_the_speed_of_a_layer_is_that_of_as_many_as_there_are() -> None:
    workload = Workload(device=torch.device("cpu"), n_features=25, batch_size=16)
    middle = architecture_grid("20M").architectures[30]
    seconds = step_seconds(middle, FP32_ADAMW, workload)
    assert 0 < seconds / middle.n_layers < 60

"""The tables of docs/costs.md come from what was measured."""

import json
import shutil
from pathlib import Path

import pytest
from benchmarks.costs_page import DATA, PAGE, best_layer_cost, measured_steps, page

from mlproject.models.arch_grid import architecture_grid
from mlproject.training.cost import LAYER_COST, cost_of_window


def test_the_page_is_as_the_command_writes_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, DATA) == text


def test_a_gpu_that_was_measured_takes_the_place_of_the_estimate(tmp_path: Path) -> None:
    shutil.copy(DATA / "cost.json", tmp_path)
    row = {"budget": "2M", "network": "64 × 64, 32, 128", "way": "eager", "times_eager": 1.0}
    row |= {"step_ms": 31.0, "tflops": 1.17, "of_measured_rate": 0.002, "epoch_s": 0.433}
    failed = {**row, "way": "graph", "step_ms": None}
    found = {
        "command": "python -m benchmarks.gpu --json gpu.json",
        "date": "2026-12-01",
        "device": "NVIDIA H100, 85 GB",
        "torch": "2.13.0",
        "cuda": "13.0",
        "checks": [
            {"check": "2M: outputs", "passed": True},
            {"check": "2M: gradients", "passed": False},
            {"check": "on CUDA only", "passed": None},
        ],
        "speed": [row, failed],
    }
    (tmp_path / "gpu.json").write_text(json.dumps(found), encoding="utf-8")
    text = page(PAGE.read_text(encoding="utf-8"), tmp_path)
    assert "never measured" not in text
    assert "1 of 2 checks against the CPU passed; not: 2M: gradients." in text.replace("\n", " ")
    row_text = "| 2M | 64 × 64, 32, 128 | eager | 31 | 1.17 | 0% | 1.0 | 0.433 | 13 s | 11 min |"
    assert row_text in text
    assert text.count("64 × 64, 32, 128") == 2  # the other one is the CPU's
    ((network, seconds),) = measured_steps(tmp_path)["gpu"]
    assert (network.d_model, network.n_layers, seconds) == (64, 64, 0.031)


def test_the_cost_of_a_layer_is_found_again_in_steps_that_follow_it() -> None:
    rows = architecture_grid("2M").architectures
    made = [(row, 3e-7 * cost_of_window(row, "gpu")) for row in rows[::9]]
    assert best_layer_cost(made) == pytest.approx(LAYER_COST["gpu"], rel=0.03)
    measured = best_layer_cost(measured_steps(DATA)["cpu"])
    assert measured == pytest.approx(LAYER_COST["cpu"], rel=0.5)

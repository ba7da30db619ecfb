"""What a study costs at each budget, on this machine.

    python benchmarks/cost.py [2M 20M 200M 2B] [--json benchmarks/data/cost.json]

times training steps of the shallowest, the middle and the deepest architecture of each budget
(2B: the middle one alone) on the embedded data, under the plan that a study there would be given,
and works out an epoch, a trial and a study. The 2B row takes minutes on two cores. From the JSON
`python -m benchmarks.costs_page` writes the tables of docs/costs.md.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from mlproject.text.durations import duration
from mlproject.training.system.environment import set_torch_environment

STEPS = {"2M": 14, "20M": 5, "200M": 2, "2B": 1}
"""Timed steps of each architecture, after one that is not timed."""

TRIALS = 50
EPOCHS_OF_A_TRIAL = 31
"""On average: of 50 to 100 epochs pruning and early stopping leave 0.41 (docs/benchmarks.md)."""


def main(arguments: list[str]) -> None:
    """Print the table, and write what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("budgets", nargs="*", default=list(STEPS))
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args(arguments)
    rows = []
    print(
        "| budget | d_model × n_layers, heads, d_ff | plan | step, s | GFLOP/s | epoch, s "
        f"| trial of {EPOCHS_OF_A_TRIAL} epochs | study of {TRIALS} trials |"
    )
    print("|---" * 8 + "|")
    for budget in asked.budgets:
        for place in ("middle",) if budget == "2B" else ("shallowest", "middle", "deepest"):
            command = [sys.executable, __file__, "--one", budget, place]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            rows.append({"budget": budget, **found})
            seconds = found["epoch_seconds"] * EPOCHS_OF_A_TRIAL
            print(
                f"| {budget} | {found['shape']} | {found['plan']} | {found['step_seconds']:.3g} "
                f"| {found['operations'] / found['step_seconds'] / 1e9:.0f} "
                f"| {found['epoch_seconds']:.3g} | {duration(seconds)} "
                f"| {duration(seconds * TRIALS)} |",
                flush=True,
            )

    if asked.json is not None:
        of_all = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "rows": rows}
        text = json.dumps(of_all, indent=1, ensure_ascii=False)
        asked.json.write_text(text + "\n", encoding="utf-8")


def machine() -> str:
    """The cores and the memory of this machine."""
    import psutil
    import torch

    bf16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    memory = psutil.virtual_memory().total / 1e9
    kind = f"{platform.machine()} with{'' if bf16 else 'out'} bf16 instructions"
    return f"{torch.get_num_threads()} cores, {kind}, {memory:.0f} GB"


def measure(budget: str, place: str) -> dict[str, float | str]:
    """Time the steps of one architecture."""
    import torch

    from mlproject.data.bars import load_bars
    from mlproject.data.labels import parse_task
    from mlproject.data.windows import build_windows
    from mlproject.models.arch_grid import get_architectures_for_budget
    from mlproject.training.cost import EpochShape, operations_of_step
    from mlproject.training.memory_plan import plan_memory
    from mlproject.training.settings import TrainingSettings
    from mlproject.training.train import train
    from mlproject.training.workload import Workload

    data = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    by_depth = sorted(
        get_architectures_for_budget(budget, data.n_features),
        key=lambda row: (row.n_layers, row.arch_idx),
    )
    row = by_depth[{"shallowest": 0, "middle": len(by_depth) // 2, "deepest": -1}[place]]
    workload = Workload(device=torch.device("cpu"), n_features=data.n_features, batch_size=256)
    plan = plan_memory(by_depth, workload).training
    settings = TrainingSettings(
        learning_rate=1e-4,
        epochs=1,
        batch_size=workload.batch_size,
        weight_decay=0.0,
        warmup_steps=0,
        dropout=0.1,
        seed=0,
        max_steps=1 + STEPS[budget],
    )
    moments = [time.perf_counter()]
    train(
        row,
        data,
        settings,
        lambda _losses: True,
        plan=plan,
        on_step=lambda _step, _steps: moments.append(time.perf_counter()),
    )
    steps = [later - earlier for earlier, later in pairwise(moments)]
    step_seconds = statistics.median(steps[1:])
    epoch = EpochShape.of(data, batch_size=workload.batch_size, max_steps=0)
    return {
        "shape": f"{row.d_model} × {row.n_layers}, {row.n_heads}, {row.d_ff}",
        "plan": f"{plan.optimiser}, {plan.precision}",
        "step_seconds": step_seconds,
        "epoch_seconds": step_seconds * epoch.windows / workload.batch_size,
        "operations": operations_of_step(row, workload.batch_size),
    }


if __name__ == "__main__":
    set_torch_environment()
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main(sys.argv[1:])

"""Whether the memory plan is true.

    python benchmarks/memory.py

trains an architecture of each budget for two steps in a process of its own, and prints the
predicted and the measured peak. The 2B rows take minutes on two cores.
"""

import json
import subprocess
import sys
from functools import partial

from mlproject.training.system.environment import set_torch_environment

CASES = (
    ("2M", 48, "adamw", "fp32", 1),
    ("2M", 48, "adamw", "fp32", 2),
    ("2M", 48, "adamw", "bf16", 1),
    ("20M", 73, "adamw", "bf16", 1),
    ("20M", 73, "adamw", "bf16", 2),
    ("20M", 73, "adafactor", "bf16", 1),
    ("200M", 57, "adamw", "bf16", 1),
    ("200M", 57, "adamw", "bf16", 2),
    ("200M", 91, "adamw", "bf16", 1),
    ("2B", 1, "adafactor", "bf16", 1),
    ("2B", 74, "adafactor", "bf16", 1),
)
"""Budget, arch_idx, optimiser, precision, processes that share the training."""


def main() -> None:
    """Print the table."""
    print(
        "| budget, arch_idx | parameters | plan | devices | predicted, GB | measured, GB | ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for budget, arch_idx, optimiser, precision, n_processes in CASES:
        case = (budget, str(arch_idx), optimiser, precision, str(n_processes))
        command = [sys.executable, __file__, *case]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        predicted, measured = found["predicted"], found["measured"]
        print(
            f"| {budget}, {arch_idx} | {found['param_count']:,} "
            f"| {optimiser}, {precision} | {n_processes} "
            f"| {predicted / 1e9:.2f} | {measured / 1e9:.2f} | {predicted / measured:.2f} |",
            flush=True,
        )


def measure(
    budget: str, arch_idx: int, optimiser: str, precision: str, n_processes: int = 1
) -> dict[str, float]:
    """Predict the peak of a process, train two steps and validate on two batches, measure."""
    import torch

    from mlproject.data.bars import load_bars
    from mlproject.data.labels import parse_task
    from mlproject.data.windows import build_windows
    from mlproject.models.arch_grid import get_architectures_for_budget
    from mlproject.training.layouts import choose_layout
    from mlproject.training.memory_need import memory_need
    from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
    from mlproject.training.settings import TrainingSettings
    from mlproject.training.train import train
    from mlproject.training.workload import Workload, usable_memory_bytes

    row = get_architectures_for_budget(budget, 25)[arch_idx]
    data = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    plan = TrainingPlan(optimiser=OptimiserName(optimiser), precision=Precision(precision))
    devices = (torch.device("cpu"),) * n_processes
    workload = Workload.on(devices, n_features=25, batch_size=256)
    layout = choose_layout(row, plan, workload, usable_memory_bytes(workload))
    predicted = memory_need(row, plan, layout, workload).total
    settings = TrainingSettings(
        learning_rate=1e-4,
        epochs=1,
        batch_size=256,
        weight_decay=0.0,
        warmup_steps=0,
        dropout=0.1,
        seed=0,
        max_steps=2,
    )
    if n_processes > 1:
        from mlproject.training.sharded.train import train_sharded

        train = partial(train_sharded, devices=devices)
    result = train(row, data, settings, lambda _losses: False, plan=plan)
    return {
        "param_count": row.param_count,
        "predicted": predicted,
        "measured": result.peak_memory_bytes,
    }


if __name__ == "__main__":
    set_torch_environment()
    if len(sys.argv) == 1:
        main()
    else:
        print(
            json.dumps(
                measure(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], *map(int, sys.argv[5:]))
            )
        )

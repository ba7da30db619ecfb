"""How fast one training step is, beside the plain way of writing it.

    python benchmarks/training_step.py

prints, for three 2M architectures, the time of a step (256 windows, forward, backward, clipping,
AdamW, dropout 0.1) of this project in bf16 and in fp32 and of the plain implementation
(nn.MultiheadAttention, nn.Dropout, AdamW as it comes, fp32), in turns in the same process; then the
step of this project in three processes at once, with idle threads that spin as OpenMP lets them and
that sleep soon.

    python benchmarks/training_step.py --profile

shows where the time of a part of the batch goes, operation by operation, on one core.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from mlproject.training.system.environment import set_torch_environment

if TYPE_CHECKING:
    import torch

    from mlproject.data.windows import WindowedData
    from mlproject.models.arch_grid import Architecture
    from mlproject.training.settings import TrainingSettings

ROUNDS = 7
PROCESSES = 3
ARCHITECTURES = ((64, 32, 2, 256), (64, 32, 32, 256), (384, 2, 8, 768))

Step = Callable[[], None]


def main() -> None:
    """Print both tables."""
    set_torch_environment()
    print("| d_model × n_layers, heads | bf16, ms | fp32, ms | plain, ms | plain / bf16 | / fp32 |")
    print("|---|---|---|---|---|---|")
    for shape in ARCHITECTURES:
        bf16, fp32, plain = compare(
            our_step(shape, "bf16"), our_step(shape, "fp32"), plain_step(shape)
        )
        d_model, n_layers, n_heads, _ = shape
        print(
            f"| {d_model} × {n_layers}, {n_heads} | {bf16:.0f} | {fp32:.0f} | {plain:.0f} "
            f"| {plain / bf16:.2f} | {plain / fp32:.2f} |"
        )
    print()
    print(f"| {PROCESSES} processes at once, {os.cpu_count()} cores | step, ms |")
    print("|---|---|")
    print(f"| idle threads spin as OpenMP lets them | {in_several_processes({}):.0f} |")
    spin_count = {"GOMP_SPINCOUNT": os.environ["GOMP_SPINCOUNT"]}
    print(f"| idle threads sleep soon | {in_several_processes(spin_count):.0f} |")


def compare(*steps: Step) -> list[float]:
    """Median milliseconds of each step, taken in turns."""
    for step in steps:
        step()
        step()
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(ROUNDS):
        for step, taken in zip(steps, times, strict=True):
            taken.append(milliseconds(step))
    return [statistics.median(taken) for taken in times]


def milliseconds(work: Step) -> float:
    """The time that one call takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


@cache
def data() -> "WindowedData":
    """The embedded bars."""
    from mlproject.data.bars import load_bars
    from mlproject.data.labels import parse_task
    from mlproject.data.windows import build_windows

    return build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))


def settings() -> "TrainingSettings":
    """Of every step here."""
    from mlproject.training.settings import TrainingSettings

    return TrainingSettings(
        learning_rate=1e-4,
        epochs=1,
        batch_size=256,
        weight_decay=0.01,
        warmup_steps=0,
        dropout=0.1,
        seed=0,
    )


def architecture(shape: tuple[int, int, int, int], budget: str = "2M") -> "Architecture":
    """The row of a budget's grid with this d_model, n_layers, n_heads, d_ff."""
    from mlproject.models.arch_grid import Shape, architecture_grid

    d_model, n_layers, n_heads, d_ff = shape
    grid = architecture_grid(budget, data().n_features)
    return grid.find(Shape(d_model, n_layers, d_ff), n_heads)


def our_step(shape: tuple[int, int, int, int], precision: str) -> Step:
    """A training step of this project, as the training loop takes it."""
    import torch

    from mlproject.training.initial_model import build_model
    from mlproject.training.layouts import choose_layout
    from mlproject.training.optimisers import make_optimiser
    from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
    from mlproject.training.step import TrainingStep
    from mlproject.training.system.free_memory import free_memory_bytes
    from mlproject.training.system.threads import BatchThreads
    from mlproject.training.workload import Workload

    plan = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision(precision))
    cpu = torch.device("cpu")
    workload = Workload(device=cpu, n_features=data().n_features, batch_size=256)
    layout = choose_layout(architecture(shape), plan, workload, free_memory_bytes(cpu))
    model = build_model(architecture(shape), data(), settings(), plan)
    ends = data().train[:256]
    step = 0

    def take() -> None:
        nonlocal step
        with BatchThreads(layout.threads) as threads:
            TrainingStep(
                model=model,
                optimiser=optimiser,
                data=data(),
                settings=settings(),
                threads=threads,
                layout=layout,
            ).run(ends, step, 1e-4)
        step += 1

    optimiser = make_optimiser(plan, model, settings())
    return take


def plain_step(shape: tuple[int, int, int, int]) -> Step:
    """The same network from torch's own parts, with torch's own optimiser and dropout."""
    import torch
    from torch import nn
    from torch.nn import functional

    from mlproject.models.patchtst import PatchTST

    d_model, n_layers, n_heads, d_ff = shape

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
            self.attention = nn.MultiheadAttention(d_model, n_heads, dropout=0.1, batch_first=True)
            self.expand, self.contract = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
            self.dropout = nn.Dropout(0.1)

        def forward(self, tokens: "torch.Tensor", _dropout: object) -> "torch.Tensor":
            x = tokens.view(-1, 11, d_model)
            normed = self.norm_1(x)
            x = x + self.dropout(self.attention(normed, normed, normed)[0])
            hidden = self.dropout(functional.gelu(self.expand(self.norm_2(x))))
            return (x + self.dropout(self.contract(hidden))).flatten(0, 1)

    model = PatchTST(architecture(shape), num_features=data().n_features)
    model.blocks = nn.ModuleList(Block() for _ in range(n_layers))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    windows, labels = data().gather(data().train[:256])

    def take() -> None:
        loss = functional.binary_cross_entropy_with_logits(model(windows), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return take


def in_several_processes(openmp: dict[str, str]) -> float:
    """Mean over processes that run at once of each one's median step in milliseconds."""
    command = [sys.executable, __file__, "--one"]
    env = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"} | openmp
    processes = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE) for _ in range(PROCESSES)
    ]
    return statistics.mean(json.loads(process.communicate()[0]) for process in processes)


def one_process() -> None:
    """Print the median step in milliseconds."""
    step = our_step(ARCHITECTURES[0], "bf16")
    step()
    print(json.dumps(statistics.median(milliseconds(step) for _ in range(ROUNDS))))


def profile(shape: tuple[int, int, int, int]) -> None:
    """Print the operations of a part of the batch on one core, most time first."""
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    from mlproject.models.dropout import Dropout
    from mlproject.models.patchtst import PatchTST

    torch.set_num_threads(1)
    model = PatchTST.build(
        architecture(shape), num_features=data().n_features, matrix_dtype=torch.bfloat16
    )
    windows, _ = data().gather(data().train[:128])
    weights = list(model.parameters())

    def work() -> None:
        torch.autograd.grad(model(windows, Dropout(0.1, (0,))).sum(), weights)

    work()
    with record(activities=[ProfilerActivity.CPU]) as recorded:
        work()
    print(shape, f"{statistics.median(milliseconds(work) for _ in range(ROUNDS)):.0f} ms")
    print(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=24))


if __name__ == "__main__":
    if "--one" in sys.argv:
        one_process()
    elif "--profile" in sys.argv:
        set_torch_environment()
        for profiled in ARCHITECTURES:
            profile(profiled)
    else:
        main()

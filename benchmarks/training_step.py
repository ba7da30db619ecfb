"""How fast one training step is, beside the plain way of writing it.

    python benchmarks/training_step.py

prints, for two 2M architectures at the ends of the grid, the time of a step (256 windows, forward,
backward, clipping, AdamW) of this project and of the plain implementation (nn.MultiheadAttention,
nn.Dropout, AdamW as it comes), in turns in the same process; then the step of this project in
three processes at once, with idle threads that spin as OpenMP lets them and that sleep soon.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlproject.training.openmp import shorten_idle_spinning

if TYPE_CHECKING:
    from mlproject.models.patchtst import PatchTST

ROUNDS = 5
PROCESSES = 3
ARCHITECTURES = ((64, 32, 2, 256), (384, 2, 8, 768))


def main() -> None:
    """Print both tables."""
    shorten_idle_spinning()
    print("| d_model × n_layers | this project, ms | plain, ms | plain / this project |")
    print("|---|---|---|---|")
    for architecture in ARCHITECTURES:
        ours, plain = compare(architecture)
        d_model, n_layers = architecture[:2]
        print(f"| {d_model} × {n_layers} | {ours:.0f} | {plain:.0f} | {plain / ours:.2f} |")
    print()
    print(f"| {PROCESSES} processes at once, {os.cpu_count()} cores | step, ms |")
    print("|---|---|")
    print(f"| idle threads spin as OpenMP lets them | {in_several_processes({}):.0f} |")
    spin_count = {"GOMP_SPINCOUNT": os.environ["GOMP_SPINCOUNT"]}
    print(f"| idle threads sleep soon | {in_several_processes(spin_count):.0f} |")


def compare(architecture: tuple[int, int, int, int]) -> tuple[float, float]:
    """Median milliseconds of a step, ours and plain, taken in turns."""
    steps = (our_step(architecture), plain_step(architecture))
    times: tuple[list[float], list[float]] = ([], [])
    for step in steps:
        step()
    for _ in range(ROUNDS):
        for step, taken in zip(steps, times, strict=True):
            taken.append(milliseconds(step))
    return statistics.median(times[0]), statistics.median(times[1])


def milliseconds(work: Callable[[], None]) -> float:
    """The time that one call takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def our_step(architecture: tuple[int, int, int, int]) -> Callable[[], None]:
    """A training step of this project."""
    return step_of(network(architecture), fused=True)


def plain_step(architecture: tuple[int, int, int, int]) -> Callable[[], None]:
    """The same network from torch's own parts."""
    import torch
    from torch import nn
    from torch.nn import functional

    d_model, n_layers, n_heads, d_ff = architecture

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
            self.attention = nn.MultiheadAttention(d_model, n_heads, dropout=0.1, batch_first=True)
            self.expand, self.contract = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
            self.dropout = nn.Dropout(0.1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            normed = self.norm_1(x)
            x = x + self.dropout(self.attention(normed, normed, normed)[0])
            hidden = self.dropout(functional.gelu(self.expand(self.norm_2(x))))
            return x + self.dropout(self.contract(hidden))

    model = network(architecture)
    model.blocks = nn.ModuleList(Block() for _ in range(n_layers))
    return step_of(model)


def network(architecture: tuple[int, int, int, int]) -> "PatchTST":
    """A fresh network; param_count plays no part here."""
    from mlproject.models.arch_grid import Architecture
    from mlproject.models.patchtst import PatchTST

    d_model, n_layers, n_heads, d_ff = architecture
    row = Architecture(
        arch_idx=0,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        d_ff=d_ff,
        param_count=0,
    )
    return PatchTST(row, num_features=25, dropout=0.1)


def step_of(model: "PatchTST", *, fused: bool | None = None) -> Callable[[], None]:
    """Forward, backward, clipping and update on one random batch."""
    import torch
    from torch.nn import functional

    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=fused)
    windows, labels = torch.randn(256, 60, 25), (torch.rand(256) < 0.3).float()

    def step() -> None:
        loss = functional.binary_cross_entropy_with_logits(model(windows), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return step


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
    step = our_step(ARCHITECTURES[0])
    step()
    print(json.dumps(statistics.median(milliseconds(step) for _ in range(ROUNDS))))


if __name__ == "__main__":
    one_process() if "--one" in sys.argv else main()

"""How fast a GPU trains: the steps of `benchmarks.gpu`, and its trial of 2B.

python -m benchmarks.gpu --parts speed trial
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.gpu_checks import adamw, data_on
from benchmarks.training_step import architecture, settings

from mlproject.models.arch_grid import Architecture, architecture_grid
from mlproject.training.cost import EpochShape, operations_of_step
from mlproject.training.device import natural_precision
from mlproject.training.graphed_step import REHEARSALS, SWITCH
from mlproject.training.memory_plan import plan_memory
from mlproject.training.train import train, training_step
from mlproject.training.workload import Workload

if TYPE_CHECKING:
    from benchmarks.gpu import Scope

NETWORKS = (
    ("2M", 64, 64, 32, 128),
    ("2M", 192, 8, 2, 384),
    ("20M", 128, 180, 32, 256),
    ("200M", 256, 256, 32, 1024),
    ("200M", 768, 32, 8, 3072),
    ("2B", 1536, 128, 8, 3072),
)
SMALL_NETWORKS = (("100k", 64, 2, 8, 128),)
WAYS = ("eager", "graph")
"""The first is what a study does; the others are off by default, and last, as what goes wrong there
may leave the device unusable."""
SECONDS_OF_STEPS = 1.5
"""Timed of each way, about, after the steps in which libraries set themselves up."""


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """The steps of one network in one way."""

    budget: str
    network: str
    way: str
    """One of `WAYS`."""
    precision: str
    step_ms: float | None = None
    """None where it failed."""
    first_ms: float | None = None
    """Of the slowest step before those, such as one that is recorded."""
    tflops: float | None = None
    of_measured_rate: float | None = None
    """Of the rate of large matrix products, measured beside it."""
    times_eager: float | None = None
    peak_gb: float | None = None
    epoch_s: float | None = None
    failed: str = ""


def speed_rows(scope: "Scope") -> Iterator[dict[str, Any]]:
    """Each network as it is, and then with each improvement."""
    rate = matrix_rate(scope)
    print(f"measured rate of matrix products: {rate / 1e12:.3g} TFLOP/s", flush=True)
    eager: dict[tuple[Any, ...], float | None] = {}
    for way in WAYS:
        for named in SMALL_NETWORKS if scope.small else NETWORKS:
            row = _speed_row(scope, named, way, rate)
            eager.setdefault(named, row.step_ms)
            before = eager[named]
            if row.step_ms and before:
                row = replace(row, times_eager=before / row.step_ms)
            yield asdict(row)


def _speed_row(scope: "Scope", named: tuple[Any, ...], way: str, rate: float) -> SpeedRow:
    budget, *numbers = named
    network = architecture(tuple(numbers), budget)
    precision = natural_precision(torch.device(scope.device))
    row = SpeedRow(budget=budget, network=as_named(network), way=way, precision=precision)
    try:
        first, step = time_steps(scope, network, way)
    except RuntimeError as error:  # the others are measured all the same
        return replace(row, failed=str(error).splitlines()[0][:80])
    batch = settings().batch_size
    operations = operations_of_step(network, batch) / step
    epoch = EpochShape.of(data_on("cpu"), batch_size=batch, max_steps=0)
    return replace(
        row,
        step_ms=step * 1000,
        first_ms=first * 1000,
        tflops=operations / 1e12,
        of_measured_rate=operations / rate,
        peak_gb=torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None,
        epoch_s=step * epoch.windows / batch,
    )


def as_named(network: Architecture) -> str:
    """As the tables have it."""
    return f"{network.d_model} × {network.n_layers}, {network.n_heads}, {network.d_ff}"


def time_steps(scope: "Scope", network: Architecture, way: str) -> tuple[float, float]:
    """Seconds of the slowest of the first steps, and of a step after them."""
    windows, precision = data_on(scope.device), natural_precision(torch.device(scope.device))
    synchronise = _synchronise(scope)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    os.environ[SWITCH] = str(int(way == "graph"))
    try:
        with training_step(network, windows, settings(), adamw(precision)) as step:
            ends = windows.train[: settings().batch_size]

            def take(steps: int) -> float:
                begun = time.perf_counter()
                for number in range(steps):
                    step.run(ends, number, 1e-4)
                synchronise()
                return time.perf_counter() - begun

            first = [take(1) for _ in range(REHEARSALS + 2)]
            count = max(1, min(200, round(SECONDS_OF_STEPS / first[-1])))
            return max(first), take(count) / count
    finally:
        os.environ[SWITCH] = "0"


def _synchronise(scope: "Scope") -> Callable[[], None]:
    return torch.cuda.synchronize if scope.device.startswith("cuda") else lambda: None


def matrix_rate(scope: "Scope") -> float:
    """Operations a second of large matrix products in the precision that a study takes."""
    size = 512 if scope.small else 8192
    dtype = natural_precision(torch.device(scope.device)).dtype
    one = torch.randn(size, size, device=scope.device, dtype=dtype)
    synchronise = _synchronise(scope)
    for repeats in (3, 20):
        synchronise()
        begun = time.perf_counter()
        for _ in range(repeats):
            one @ one
        synchronise()
        seconds = time.perf_counter() - begun
    return repeats * 2 * size**3 / seconds


def trial_rows(scope: "Scope") -> Iterator[dict[str, Any]]:
    """A trial of the middle of the 2B grid under the plan that a study there has, two epochs."""
    budget = "100k" if scope.small else "2B"
    windows = data_on(scope.device)
    grid = architecture_grid(budget, windows.n_features).architectures
    by_depth = sorted(grid, key=lambda row: (row.n_layers, row.arch_idx))
    network = by_depth[len(by_depth) // 2]
    workload = Workload(
        device=torch.device(scope.device),
        n_features=windows.n_features,
        batch_size=settings().batch_size,
    )
    plan = plan_memory(grid, workload).training
    moments = [time.perf_counter()]
    train(
        network,
        windows,
        replace(settings(), epochs=2, max_steps=1 if scope.small else 0),
        lambda _: bool(moments.append(time.perf_counter())),
        plan=plan,
    )
    first, second = (later - earlier for earlier, later in pairwise(moments))
    yield {
        "budget": budget,
        "network": as_named(network),
        "plan": f"{plan.optimiser}, {plan.precision}",
        "first_epoch_s": first,
        "epoch_s": second,
    }

"""The tables of docs/costs.md, written from what was measured.

    python -m benchmarks.costs_page

reads `benchmarks/data/cost.json` (of `benchmarks/cost.py --json`) and `benchmarks/data/gpu.json`
(of `benchmarks.gpu --json`), where there is one; without it the GPU's part is an estimate, and says
so. Each part begins and ends with a comment in the page; all else there is written by hand.
"""

import json
import math
import re
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.cost import EPOCHS_OF_A_TRIAL, TRIALS

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import build_windows
from mlproject.models.arch_grid import Architecture, architecture_grid
from mlproject.text.durations import duration
from mlproject.training.cost import (
    GPU_OPERATIONS_A_SECOND,
    GPU_SECONDS_A_LAYER,
    LAYER_COST,
    OPERATIONS_A_LAYER,
    SECONDS_A_LAUNCH,
    EpochShape,
    operations_of_step,
)

PAGE = Path("docs/costs.md")
DATA = Path("benchmarks/data")
BATCH = 256
WIDTH = 110
ESTIMATED = (
    ("2M", 64, 64, 32, 128),
    ("20M", 256, 24, 8, 1024),
    ("20M", 128, 180, 32, 256),
    ("200M", 768, 32, 8, 3072),
    ("200M", 256, 256, 32, 1024),
    ("2B", 1536, 128, 8, 3072),
)


def main() -> None:
    """Write the page, and print how well the launch's own model fits the figures."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), DATA), encoding="utf-8")
    for name, rows in measured_steps(DATA).items():
        print(
            f"a layer beside its arithmetic, in parameters, on the {name}: "
            f"{best_layer_cost(rows):,.0f} fits best, {LAYER_COST[name]:,.0f} is what "
            "mlproject.training.cost has"
        )


def page(text: str, data: Path) -> str:
    """The page with what is measured in the folder."""
    gpu = data / "gpu.json"
    parts = {
        "cpu": cpu_part(json.loads((data / "cost.json").read_text(encoding="utf-8"))),
        "gpu": gpu_part(json.loads(gpu.read_text(encoding="utf-8")))
        if gpu.exists()
        else estimated_gpu_part(),
    }
    for name, part in parts.items():
        begin, end = f"<!-- {name}: python -m benchmarks.costs_page -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no part {name!r}")
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return text


def cpu_part(found: dict[str, Any]) -> str:
    """What was measured on a CPU."""
    rows = [
        (
            row["budget"],
            row["shape"],
            row["plan"],
            digits(row["step_seconds"]),
            f"{operations(row['budget'], row['shape']) / row['step_seconds'] / 1e9:.0f}",
            *of_a_study(row["epoch_seconds"]),
        )
        for row in found["rows"]
    ]
    head = ("budget", "d_model × n_layers, heads, d_ff", "plan", "step, s", "GFLOP/s")
    return f"Measured {found['date']} on {found['machine']}:\n\n" + table(
        (*head, "epoch, s", "trial", "study"), rows
    )


def gpu_part(found: dict[str, Any]) -> str:
    """What was measured on a GPU."""
    checks = [check for check in found["checks"] if check["passed"] is not None]
    failed = [check["check"] for check in checks if not check["passed"]]
    said = f"{len(checks) - len(failed)} of {len(checks)} checks against the CPU passed" + (
        f"; not: {', '.join(failed)}" if failed else ""
    )
    speed = [
        (
            row["budget"],
            row["network"],
            row["way"],
            digits(row["step_ms"]),
            digits(row["tflops"]),
            f"{row['of_measured_rate']:.0%}",
            f"{row['times_eager']:.1f}" if row["times_eager"] else "",
            *of_a_study(row["epoch_s"]),
        )
        for row in found["speed"]
        if row["step_ms"]
    ]
    studies = [
        (
            str(row["workers"]),
            "yes" if row["with_graph"] else "no",
            f"{row['seconds']:.0f}",
            str(row["finished_trials"]),
            str(row["epochs"]),
            f"{row['epochs_a_minute']:.0f}",
        )
        for row in found.get("studies", [])
    ]
    head = ("budget", "d_model × n_layers, heads, d_ff", "way", "step, ms", "TFLOP/s")
    head += ("of measured rate", "times eager", "epoch, s", "trial", "study")
    measured = (
        f"Measured {found['date']} on {found['device']} (torch {found['torch']}, CUDA "
        f"{found['cuda']}) by `{found['command']}`; {said}."
    )
    parts = [fill(measured, WIDTH), table(head, speed)]
    if studies:
        head = ("workers on the card", "graph", "seconds", "trials finished", "epochs")
        parts += [
            "A 2M study of 50 trials, as far as it came:",
            table((*head, "epochs a minute"), studies),
        ]
    parts += [
        f"The trial of {row['budget']} ({row['network']}; {row['plan']}) took "
        f"{row['epoch_s']:.3g} s an epoch."
        for row in found.get("trial", [])
    ]
    return "\n\n".join(parts)


def estimated_gpu_part() -> str:
    """What a GPU should do, as nobody has measured it."""
    rows = []
    for budget, *numbers in ESTIMATED:
        network = architecture(budget, *numbers)
        arithmetic = operations_of_step(network, BATCH) / GPU_OPERATIONS_A_SECOND
        launches = network.n_layers * GPU_SECONDS_A_LAYER
        step = arithmetic + launches
        rows.append(
            (
                budget,
                f"{network.d_model} × {network.n_layers}",
                f"{arithmetic * 1000:.1f}",
                f"{launches * 1000:.0f}",
                f"{step * 1000:.0f}",
                of_a_study(epoch_seconds(step))[-1],
            )
        )
    head = ("budget", "d_model × n_layers", "arithmetic, ms", "launches, ms")
    said = (
        "**Estimated, never measured**: no GPU was at hand. Two things bound a step, and they add "
        "up at worst: *arithmetic*, 6 · parameters · 256 windows · 11 patches, at "
        f"{GPU_OPERATIONS_A_SECOND / 1e12:.0f} · 10¹² operations a second, 40 % of what the data "
        "sheet of an H100 (SXM) names for bf16 without sparsity; and *launches*: a layer takes "
        f"{OPERATIONS_A_LAYER} operations forward and backward, counted on torch's meta device "
        "(attention written out, views left out), whatever its width, at "
        f"{SECONDS_A_LAUNCH * 1e6:.0f} µs each."
    )
    follows = (
        "So on one GPU everything but the widest networks would wait for launches, not for "
        "arithmetic: trials that share a GPU would cost little more than one alone, and a graph of "
        "the step would be worth the most."
    )
    head += ("step at worst, ms", f"study of {TRIALS} trials")
    return "\n\n".join([fill(said, WIDTH), table(head, rows), fill(follows, WIDTH)])


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), *(" | ".join(row) for row in rows)]
    return "\n".join(
        [f"| {lines[0]} |", "|---" * len(head) + "|", *(f"| {line} |" for line in lines[1:])]
    )


def digits(value: float) -> str:
    """Three of them, and no power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def of_a_study(seconds_an_epoch: float) -> tuple[str, str, str]:
    """An epoch, a trial and a study, as text."""
    trial = seconds_an_epoch * EPOCHS_OF_A_TRIAL
    return digits(seconds_an_epoch), duration(trial), duration(trial * TRIALS)


def operations(budget: str, shape: str) -> int:
    """Of a step of the network that a table names."""
    return operations_of_step(named(budget, shape), BATCH)


def named(budget: str, shape: str) -> Architecture:
    """The network that a table names, such as ``64 × 64, 32, 128``."""
    return architecture(budget, *map(int, re.findall(r"\d+", shape)))


def architecture(budget: str, *numbers: int) -> Architecture:
    """The row of the budget's grid with this d_model, n_layers, n_heads, d_ff."""
    (found,) = [
        row
        for row in architecture_grid(budget).architectures
        if (row.d_model, row.n_layers, row.n_heads, row.d_ff) == numbers
    ]
    return found


def epoch_seconds(step_seconds: float) -> float:
    """An epoch of the embedded bars."""
    data = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    return step_seconds * EpochShape.of(data, batch_size=BATCH, max_steps=0).windows / BATCH


def measured_steps(data: Path) -> dict[str, list[tuple[Architecture, float]]]:
    """The networks of which steps were measured as studies take them, and how long they took."""
    found = {}
    cpu, gpu = data / "cost.json", data / "gpu.json"
    if cpu.exists():
        rows = json.loads(cpu.read_text(encoding="utf-8"))["rows"]
        found["cpu"] = [(row["budget"], row["shape"], row["step_seconds"]) for row in rows]
    if gpu.exists():
        rows = json.loads(gpu.read_text(encoding="utf-8"))["speed"]
        found["gpu"] = [
            (row["budget"], row["network"], row["step_ms"] / 1000)
            for row in rows
            if row["way"] == "eager" and row["step_ms"]
        ]
    return {
        name: [(named(budget, shape), seconds) for budget, shape, seconds in rows]
        for name, rows in found.items()
    }


def best_layer_cost(rows: list[tuple[Architecture, float]]) -> float:
    """What a layer costs beside its arithmetic, in parameters, by (network, seconds of a step).

    The one that makes the ratios of modelled to measured steps vary least.
    """

    def spread(layer: float) -> float:
        logs = [math.log((row.param_count + layer * row.n_layers) / s) for row, s in rows]
        mean = sum(logs) / len(logs)
        return sum((each - mean) ** 2 for each in logs)

    return min((10 ** (exponent / 100) for exponent in range(300, 900)), key=spread)


if __name__ == "__main__":
    main()

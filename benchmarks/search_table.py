"""A table of real results on which searches can be replayed by the hundred.

    OMP_NUM_THREADS=1 python -m benchmarks.search_table

trains every architecture of the 2M grid on the embedded data at each of `LEARNING_RATES`, all
alike and all to the end, and keeps each one's losses after every epoch in `TABLE`. A trial is added
as soon as it ends and is not run again, so the command can be stopped and goes on where it was.

The trials are short, since there are many: an epoch is `STEPS` steps of `BATCH_SIZE` windows, drawn
anew each time from all training windows, and validation takes every third window, which leaves out
little: the labels of neighbouring windows look at the same three days.
"""

import csv
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import torch

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture, ArchitectureGrid, architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import derived_seed
from mlproject.training.device import natural_precision
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.plan import OptimiserName, TrainingPlan
from mlproject.training.settings import TrainingSettings
from mlproject.training.train import train

TABLE = Path(__file__).parent / "data" / "search_2M.csv"
BUDGET = "2M"
N_FEATURES = 25
GRID_VERSION = 3
LEARNING_RATES = (3e-4, 1e-3)
"""The middle, by ratio, and the upper end of what a study searches."""
EPOCHS = 9
STEPS = 4
BATCH_SIZE = 64
VALIDATION_EVERY = 3

ARCHITECTURE_COLUMNS = ("arch_idx", "d_model", "n_layers", "n_heads", "d_ff")
TRAIN_COLUMNS = tuple(f"train_loss_{epoch}" for epoch in range(1, EPOCHS + 1))
VAL_COLUMNS = tuple(f"val_loss_{epoch}" for epoch in range(1, EPOCHS + 1))
COLUMNS = ("learning_rate", *ARCHITECTURE_COLUMNS, *TRAIN_COLUMNS, *VAL_COLUMNS)

Cell = tuple[int, float]
"""`arch_idx` and learning rate."""


@dataclass(frozen=True)
class Curve:
    """The losses of one trial after each epoch."""

    train_losses: tuple[float, ...]
    val_losses: tuple[float, ...]


def grid_of_table() -> ArchitectureGrid:
    """The grid that `arch_idx` points into."""
    return architecture_grid(parse_budget(BUDGET), N_FEATURES, GRID_VERSION)


def read_table(path: Path = TABLE) -> dict[Cell, Curve]:
    """All trials of the table."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {
        (int(row["arch_idx"]), float(row["learning_rate"])): Curve(
            train_losses=tuple(float(row[column]) for column in TRAIN_COLUMNS),
            val_losses=tuple(float(row[column]) for column in VAL_COLUMNS),
        )
        for row in rows
    }


def main() -> None:
    """Run the trials that the table lacks."""
    data = table_data()
    grid = grid_of_table()
    _begin(TABLE)
    done = read_table(TABLE)
    for learning_rate in LEARNING_RATES:
        for architecture in grid.architectures:
            if (architecture.arch_idx, learning_rate) in done:
                continue
            curve = run_trial(architecture, learning_rate, data)
            _append(TABLE, architecture, learning_rate, curve)
            print(f"{learning_rate:g} {architecture} {min(curve.val_losses):.4f}", flush=True)


def table_data() -> WindowedData:
    """What the trials train on."""
    task = parse_task("threshold_1pct")
    data = build_windows(load_bars("sp500"), horizon_days=3, task=task)
    assert data.n_features == N_FEATURES
    return replace(data, validation=data.validation[::VALIDATION_EVERY])


def run_trial(architecture: Architecture, learning_rate: float, data: WindowedData) -> Curve:
    """Train one architecture for all `EPOCHS`; as in a study, each trial has a seed of its own."""
    curve: list[EpochMetrics] = []
    settings = TrainingSettings(
        learning_rate=learning_rate,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        weight_decay=1e-4,
        warmup_steps=STEPS,
        dropout=0.1,
        seed=derived_seed(LEARNING_RATES.index(learning_rate), architecture.arch_idx),
        patience_epochs=EPOCHS,
        max_steps=STEPS,
    )

    def on_epoch(losses: EpochMetrics) -> bool:
        curve.append(losses)
        return False

    train(architecture, data, settings, on_epoch, plan=_plan())
    assert len(curve) == EPOCHS, f"{architecture} diverged"
    return Curve(
        train_losses=tuple(losses.train_loss for losses in curve),
        val_losses=tuple(losses.val_loss for losses in curve),
    )


def _plan() -> TrainingPlan:
    precision = natural_precision(torch.device("cpu"))
    return TrainingPlan(optimiser=OptimiserName.ADAMW, precision=precision)


def _begin(path: Path) -> None:
    """Write the head of a new table; cut off the line at which a kill interrupted an old one."""
    if path.exists():
        text = path.read_text()
        path.write_text(text[: text.rfind("\n") + 1])
        return
    facts = {
        "command": f"OMP_NUM_THREADS=1 python -m benchmarks.{Path(__file__).stem}",
        "begun": date.today().isoformat(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": f"torch {torch.__version__}, {_plan().precision} AdamW",
        "data": "sp500, horizon 3 days, threshold_1pct, losses in nats",
        "trial": f"{EPOCHS} epochs of {STEPS} steps of {BATCH_SIZE} windows, weight decay 1e-4, "
        f"dropout 0.1, one epoch of warm-up, validation on every third window",
    }
    head = [f"# {name}: {fact}" for name, fact in facts.items()]
    path.write_text("\n".join([*head, ",".join(COLUMNS), ""]))


def _append(path: Path, architecture: Architecture, learning_rate: float, curve: Curve) -> None:
    names: Mapping[str, object] = vars(architecture)
    losses = (f"{loss:.6f}" for loss in (*curve.train_losses, *curve.val_losses))
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            [f"{learning_rate:g}", *(names[name] for name in ARCHITECTURE_COLUMNS), *losses]
        )


if __name__ == "__main__":
    main()

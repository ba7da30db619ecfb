"""Tables of real trainings of full length, on which searches can be replayed by the hundred.

    OMP_NUM_THREADS=1 python -m benchmarks.trainings [--table NAME]

trains every architecture of a table at each of its settings with each of its common seeds, by the
recipe of search space 2 and to the end, and keeps the validation loss after every epoch in
``benchmarks/data/trainings/NAME.jsonl``. A training is added as soon as it ends and is not run
again, so the command can be stopped and goes on where it was. All trainings with one seed come
before those with the next, so that a table is of use before it is whole.
"""

import argparse
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
from benchmarks.planted_markets import RULES, planted_markets

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture, ArchitectureGrid, architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import derived_seed
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
from mlproject.training.recipe import RECIPES
from mlproject.training.settings import TrainingSettings
from mlproject.training.train import train

FOLDER = Path(__file__).parent / "data" / "trainings"
SEARCH_SPACE = 2
HORIZON_DAYS = 3
TASK = parse_task("threshold_1pct")
GRID_VERSION = 3
STUDY_SEED = 0
BATCH_SIZE = 256
PLAN = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision.BF16)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Training settings; a rate and its number of epochs belong together."""

    learning_rate: float
    epochs: int
    weight_decay: float = 0.1
    dropout: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is trained."""

    data: str
    """Embedded bars, or ``<rule>-<markets>``: markets that a rule made, draw 0."""
    budget: str
    heads: tuple[int, ...]
    settings: tuple[Setting, ...]
    n_seeds: int

    @property
    def name(self) -> str:
        """Of its file, without the suffix."""
        return f"{self.data}_{self.budget}"

    def architectures(self, n_features: int) -> tuple[Architecture, ...]:
        """Every shape of the grid, with the heads of this table."""
        all_of_grid = grid_of(self, n_features).architectures
        return tuple(each for each in all_of_grid if each.n_heads in self.heads)


def _settings(*epochs: int) -> tuple[Setting, ...]:
    return tuple(
        Setting(learning_rate=rate, epochs=each)
        for rate, each in zip((5e-5, 1e-4, 3e-4), epochs, strict=True)
    )


TABLES = {
    table.name: table
    for table in (
        Table(
            data="sp500", budget="200k", heads=(2, 8, 32), settings=_settings(20, 12, 6), n_seeds=8
        ),
        Table(data="sp500", budget="500k", heads=(8,), settings=_settings(20, 12, 6), n_seeds=8),
        Table(data="sp500", budget="1M", heads=(8,), settings=_settings(20, 12, 6), n_seeds=4),
        Table(data="trade-8", budget="200k", heads=(8,), settings=_settings(8, 6, 4), n_seeds=4),
    )
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of a table."""

    arch_idx: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    setting: int
    """The position in the settings of the table."""
    seed: int
    """Which of the common seeds: the replicate number."""
    val_losses: tuple[float, ...]
    """After each epoch, nats."""
    block_losses: tuple[float, ...]
    """Those of each block of days, after the epoch of the lowest loss."""


def grid_of(table: Table, n_features: int) -> ArchitectureGrid:
    """The grid that `arch_idx` points into."""
    return architecture_grid(parse_budget(table.budget), n_features, GRID_VERSION)


def data_of(table: Table) -> WindowedData:
    """What the trainings are of."""
    if "-" not in table.data:
        return build_windows(load_bars(table.data), horizon_days=HORIZON_DAYS, task=TASK)
    rule, n_markets = table.data.rsplit("-", 1)
    planted = planted_markets(RULES[rule], int(n_markets), 0)
    return build_windows(planted.markets, horizon_days=HORIZON_DAYS, task=TASK)


def read_trainings(table: Table, folder: Path = FOLDER) -> tuple[Training, ...]:
    """The trainings there are of a table, in the order in which they were made."""
    path = folder / f"{table.name}.jsonl"
    _, *rows = (json.loads(line) for line in path.read_text().splitlines())
    return tuple(
        Training(
            **row
            | {
                "val_losses": tuple(row["val_losses"]),
                "block_losses": tuple(row["block_losses"]),
            }
        )
        for row in rows
    )


def make(table: Table, folder: Path = FOLDER) -> Iterator[Training]:
    """Run the trainings that a table lacks."""
    path = folder / f"{table.name}.jsonl"
    _begin(path, table)
    done = {(each.arch_idx, each.setting, each.seed) for each in read_trainings(table, folder)}
    data = data_of(table)
    for seed in range(table.n_seeds):
        for architecture in table.architectures(data.n_features):
            for setting in range(len(table.settings)):
                if (architecture.arch_idx, setting, seed) in done:
                    continue
                training = run_training(table, architecture, setting, seed, data)
                with path.open("a") as file:
                    file.write(json.dumps(asdict(training)) + "\n")
                yield training


def run_training(
    table: Table, architecture: Architecture, setting: int, seed: int, data: WindowedData
) -> Training:
    """Train one architecture for all its epochs."""
    curve: list[EpochMetrics] = []
    chosen = table.settings[setting]
    settings = TrainingSettings(
        **vars(chosen),
        batch_size=BATCH_SIZE,
        seed=derived_seed(STUDY_SEED, seed),
        recipe=RECIPES[SEARCH_SPACE],
        patience_epochs=chosen.epochs,
    )

    def on_epoch(epoch: EpochMetrics) -> bool:
        curve.append(epoch)
        return False

    train(architecture, data, settings, on_epoch, plan=PLAN)
    best = min(curve, key=lambda epoch: epoch.val_loss)
    return Training(
        **{name: getattr(architecture, name) for name in _ARCHITECTURE},
        setting=setting,
        seed=seed,
        val_losses=tuple(round(epoch.val_loss, 6) for epoch in curve),
        block_losses=best.val_block_losses or (),
    )


_ARCHITECTURE = ("arch_idx", "d_model", "n_layers", "n_heads", "d_ff")


def _begin(path: Path, table: Table) -> None:
    """Write the head of a new table; cut off the line at which a kill interrupted an old one."""
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole:
        path.write_text(whole)
        return
    facts: Mapping[str, object] = {
        "command": f"OMP_NUM_THREADS=1 python -m benchmarks.{Path(__file__).stem} "
        f"--table {table.name}",
        "begun": date.today().isoformat(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "versions": f"torch {torch.__version__}, {PLAN.precision} AdamW",
        "search_space": SEARCH_SPACE,
        "horizon_days": HORIZON_DAYS,
        "task": TASK.name,
        "settings": [asdict(setting) for setting in table.settings],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the tables, or what is missing of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, action="append", help="only this one")
    options = parser.parse_args(arguments)
    for name in options.table or TABLES:
        for made in make(TABLES[name]):
            print(f"{name} {json.dumps(asdict(made))[:110]} {min(made.val_losses):.4f}", flush=True)


if __name__ == "__main__":
    main()

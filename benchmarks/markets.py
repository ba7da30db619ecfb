"""How many markets it takes to learn a rule that is there, and how long many take to load.

    python -m benchmarks.markets FOLDER
    python -m benchmarks.markets FOLDER --load

runs a study on folders of 1, 8 and 32 markets that a rule made (`benchmarks.planted_markets`),
trains the best trial again up to its best epoch, and prints of the validation and the test span
which share of what can be had it takes: (prior - network) / (prior - Bayes). Everything is kept in
FOLDER: run again after a kill, it goes on. With ``--load`` see `benchmarks.markets_load`.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlproject.training.system.environment import set_torch_environment

if TYPE_CHECKING:
    from benchmarks.planted_markets import PlantedMarkets, Rule
    from optuna.trial import FrozenTrial

    from mlproject.data.windows import WindowedData
    from mlproject.search.study_settings import StudySettings

HORIZON_DAYS = 3
MAX_EPOCHS = {1: 48, 8: 6, 32: 2}
"""By number of markets: 620 steps of 256 windows, of 32 markets 830; of one market a training ends
early."""

RULES = ("momentum", "trade")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A study to run."""

    n_markets: int
    rule: str
    draw: int

    @property
    def name(self) -> str:
        """Of its folder and its experiment."""
        return f"{self.rule.replace(' ', '-')}-{self.n_markets}-{self.draw}"


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The losses (nats) on one span."""

    prior: float
    bayes: float
    network: float

    @property
    def share(self) -> float:
        """How much of what can be had the network takes."""
        return (self.prior - self.network) / (self.prior - self.bayes)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the best trial of a study came to."""

    validation: Losses
    """Of the lowest of all epochs of all trials, as a study reports it."""
    test: Losses
    best_epoch: int
    params: dict[str, float]
    seconds: float
    """Of the study's last launch."""


def run_cell(cell: Cell, folder: Path, n_trials: int) -> Result:
    """Run the study, or what is missing of it, and its best trial again."""
    from benchmarks.planted_markets import planted_markets, write_markets

    from mlproject import StudySettings, run_study

    planted = planted_markets(_rule(cell), cell.n_markets, cell.draw)
    bars = folder / "bars" / cell.name
    write_markets(planted.bars, bars)
    settings = StudySettings.parse(
        "100k",
        HORIZON_DAYS,
        experiment=cell.name,
        n_trials=n_trials,
        max_epochs=MAX_EPOCHS[cell.n_markets],
        seed=cell.draw,
        optimiser="adamw",
        precision="bf16",
    )
    begun = time.perf_counter()
    outcome = run_study(
        settings,
        data=str(bars),
        device="cpu",
        tracking_uri=f"sqlite:///{folder.resolve() / 'mlflow.db'}",
    )
    seconds = time.perf_counter() - begun
    best = outcome.best_trial
    assert best is not None and best.value is not None
    best_epoch = min(best.intermediate_values, key=best.intermediate_values.__getitem__)
    data = windows_of(planted, settings)
    losses = losses_of(planted, data, settings, best, best_epoch)
    again = losses["validation"].network
    if abs(again - best.value) > 1e-3:
        raise RuntimeError(f"{cell.name}: the best trial had {best.value}, trained again {again}")
    return Result(**losses, best_epoch=best_epoch, params=dict(best.params), seconds=round(seconds))


def windows_of(planted: "PlantedMarkets", settings: "StudySettings") -> "WindowedData":
    """The windows of a study, its test span included."""
    from mlproject.data.windows import build_windows

    return build_windows(planted.markets, horizon_days=settings.horizon_days, task=settings.task)


def losses_of(
    planted: "PlantedMarkets",
    data: "WindowedData",
    settings: "StudySettings",
    best: "FrozenTrial",
    epochs: int,
) -> dict[str, Losses]:
    """The losses of a trial's network after so many epochs, by span: it is trained again."""
    from torch.nn import functional

    from mlproject.search.search_space import SearchSpace
    from mlproject.training.plan import TrainingPlan
    from mlproject.training.scores import prior_loss
    from mlproject.training.step import predict
    from mlproject.training.train import train_final

    space = SearchSpace.of(settings, data.n_features)
    architecture = space.architecture(best.params)
    training = space.training_settings(space.seed_index(best.number, best.user_attrs), best.params)
    assert architecture and training and settings.optimiser and settings.precision
    plan = TrainingPlan(optimiser=settings.optimiser, precision=settings.precision)
    network = train_final(
        architecture, data, training, epochs=epochs, on_epoch=lambda _loss: None, plan=plan
    )
    found = {}
    for span, ends in (("validation", data.validation), ("test", data.test)):
        labels = data.labels[ends]
        logits = predict(network, data, ends)
        found[span] = Losses(
            prior=prior_loss(labels, data.base_rate),
            bayes=planted.bayes_loss(
                data, ends, horizon_days=settings.horizon_days, task=settings.task
            ),
            network=functional.binary_cross_entropy_with_logits(logits, labels).item(),
        )
    return found


def table(results: dict[Cell, Result]) -> Iterator[str]:
    """The lines of a Markdown table: a row for each study, and one for all draws of a kind."""
    yield (
        "| rule | markets | draw | validation: prior | Bayes | best trial | share "
        "| test: prior | Bayes | best trial | share | s |"
    )
    yield "|---" * 12 + "|"
    kinds = dict.fromkeys((cell.rule, cell.n_markets) for cell in results)
    for rule, n_markets in sorted(kinds, key=lambda kind: (RULES.index(kind[0]), kind[1])):
        of_kind = {
            cell.draw: result
            for cell, result in results.items()
            if (cell.rule, cell.n_markets) == (rule, n_markets)
        }
        for draw, result in sorted(of_kind.items()):
            spans = " | ".join(_cells(losses) for losses in (result.validation, result.test))
            yield f"| {rule} | {n_markets} | {draw} | {spans} | {result.seconds:.0f} |"
        if len(of_kind) > 1:
            means = [
                _cells(_mean([getattr(result, span) for result in of_kind.values()]))
                for span in ("validation", "test")
            ]
            seconds = sum(result.seconds for result in of_kind.values()) / len(of_kind)
            yield f"| {rule} | {n_markets} | mean | {' | '.join(means)} | {seconds:.0f} |"


def _rule(cell: Cell) -> "Rule":
    from benchmarks.planted_markets import RULES as KNOWN

    return KNOWN[cell.rule]


def _mean(losses: Sequence[Losses]) -> Losses:
    return Losses(
        **{
            name: sum(getattr(each, name) for each in losses) / len(losses)
            for name in ("prior", "bayes", "network")
        }
    )


def _cells(losses: Losses) -> str:
    return f"{losses.prior:.4f} | {losses.bayes:.4f} | {losses.network:.4f} | {losses.share:.0%}"


def _read(kept: Path) -> dict[Cell, Result]:
    if not kept.exists():
        return {}
    return {
        Cell(**row["cell"]): Result(
            **row["result"]
            | {span: Losses(**row["result"][span]) for span in ("validation", "test")}
        )
        for row in json.loads(kept.read_text())
    }


def _write(kept: Path, results: dict[Cell, Result]) -> None:
    rows = [{"cell": asdict(cell), "result": asdict(found)} for cell, found in results.items()]
    new = kept.with_suffix(".new")
    new.write_text(json.dumps(rows, indent=1))
    new.replace(kept)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or the figures of loading."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything is kept")
    parser.add_argument("--load", action="store_true", help="time how many markets load")
    parser.add_argument("--markets", type=int, nargs="+", help="how many")
    parser.add_argument("--rules", nargs="+", default=RULES, choices=RULES)
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--trials", type=int, default=3)
    options = parser.parse_args(arguments)
    set_torch_environment()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.load:
        from benchmarks.markets_load import measure_load

        for line in measure_load(options.folder, options.markets or [1000]):
            print(line, flush=True)
        return
    os.environ["MLPROJECT_CACHE"] = str(options.folder / "cache")
    kept = options.folder / "markets.json"
    results = _read(kept)
    for draw in options.draws:
        for n_markets in options.markets or list(MAX_EPOCHS):
            for rule in options.rules:
                cell = Cell(n_markets=n_markets, rule=rule, draw=draw)
                if cell not in results:
                    results[cell] = run_cell(cell, options.folder, options.trials)
                    _write(kept, results)
    for line in table(results):
        print(line)


if __name__ == "__main__":
    main()

"""What storage and tracking add to a trial of twenty epochs, beyond its training.

    python benchmarks/overhead.py [--trials 200]

runs a study in which training is replaced by twenty reports that cost nothing, on fresh SQLite
files in a temporary directory, and prints the median milliseconds a trial takes at the beginning
and at the end of the study: all of it, and the part of it that the sampler takes, which grows with
the history by its nature. Before each figure stands the same for Optuna alone, with the same
storage and reports and without MLflow.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

EPOCHS = 20
WINDOW = 25


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{directory}/mlflow.db"
        whole, sampling = whole_trials(trials)
    with tempfile.TemporaryDirectory() as directory:
        alone = optuna_alone(directory, trials)
    print("| trials | Optuna alone, ms | this project, ms | of that the sampler, ms |")
    print("|---|---|---|---|")
    for first in (10, trials - WINDOW):
        part = slice(first, first + WINDOW)
        figures = (statistics.median(times[part]) for times in (alone, whole, sampling))
        print(f"| {first}–{first + WINDOW} | " + " | ".join(f"{t:.0f}" for t in figures) + " |")


def whole_trials(trials: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each trial of a real study, and of its sampler."""
    import optuna

    from mlproject.data.labels import parse_task
    from mlproject.experiments import objective
    from mlproject.experiments.study import run_study
    from mlproject.models.budget import parse_budget
    from mlproject.search.search_space import SearchSpace
    from mlproject.search.study_settings import StudySettings

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    begun: list[float] = []
    suggested: list[float] = []
    suggest = SearchSpace.suggest

    def timed_suggest(space: SearchSpace, trial: optuna.Trial) -> Any:
        before = time.perf_counter()
        begun.append(before)
        found = suggest(space, trial)
        suggested.append((time.perf_counter() - before) * 1000)
        return found

    SearchSpace.suggest = timed_suggest  # type: ignore[method-assign]
    objective.train = stub  # type: ignore[attr-defined]
    settings = StudySettings(
        experiment="overhead",
        budget=parse_budget("2M"),
        horizon_days=3,
        task=parse_task("threshold_1pct"),
        n_trials=trials + 1,
    )
    run_study(settings, device="cpu")
    whole = [(later - earlier) * 1000 for earlier, later in pairwise(begun)]
    return whole, suggested


def stub(
    _architecture: object, _data: object, settings: Any, on_epoch: Callable[..., bool], **_: object
) -> Any:
    """Twenty epochs that cost nothing; each trial as good as the next, so none is pruned."""
    from mlproject.training.epoch_metrics import EpochMetrics
    from mlproject.training.result import StopReason, TrainingResult
    from mlproject.training.scores import Scores

    loss = 0.6 - settings.learning_rate / 100
    for epoch in range(1, EPOCHS + 1):
        on_epoch(EpochMetrics(epoch=epoch, train_loss=loss, val_loss=loss - epoch * 1e-3))
    return TrainingResult(
        stop_reason=StopReason.ALL_EPOCHS,
        best_epoch=EPOCHS,
        best_val_loss=loss,
        best_scores=Scores(auc=0.6, average_precision=0.5, accuracy=0.7),
        epochs_run=EPOCHS,
        duration_seconds=1.0,
        samples_per_second=1.0,
        peak_memory_bytes=1,
    )


def optuna_alone(directory: str, trials: int) -> list[float]:
    """Milliseconds of each trial with the same storage and nothing else."""
    import optuna

    times: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        times.append(time.perf_counter())
        rate = trial.suggest_float("rate", 1e-4, 1e-3, log=True)
        for epoch in range(1, EPOCHS + 1):
            trial.report(0.6 - rate, epoch)
            trial.should_prune()
        return 0.6 - rate

    path = Path(directory) / "optuna.db"
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", heartbeat_interval=60)
    study = optuna.create_study(
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=trials + 1)
    return [(later - earlier) * 1000 for earlier, later in pairwise(times)]


if __name__ == "__main__":
    main()

"""Running backfills, and looking at what is in MLflow."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking.names import PARENT_RUN_ID_TAG
from recovery import cli


def run(*arguments: object) -> int:
    """Run a command without what it does with errors, and return its exit code."""
    return int(cli.cli.main([str(a) for a in arguments], standalone_mode=False))


def backfill(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Backfill as the command does, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["recovery", "backfill", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(str(ended.value.code))


def all_runs(directory: Path, experiment: str = "phase6a") -> list[Run]:
    """Every run of the experiment."""
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], max_results=5000)) if found else []


def trial_runs(directory: Path, experiment: str = "phase6a") -> list[Run]:
    """The runs of trials."""
    return [run for run in all_runs(directory, experiment) if PARENT_RUN_ID_TAG in run.data.tags]


def content(directory: Path) -> list[tuple[Any, ...]]:
    """All runs in a form that is equal for equal sets of runs, whatever their ids."""
    runs = all_runs(directory)
    names = {run.info.run_id: run.info.run_name for run in runs}
    ignored = (
        "mlflow.parentRunId",
        "mlflow.user",
        "mlflow.source.name",
        "mlflow.source.git.commit",
    )
    return sorted(
        (
            names.get(run.data.tags.get(PARENT_RUN_ID_TAG), ""),
            run.info.run_name,
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            sorted(run.data.params.items()),
            sorted(run.data.metrics.items()),
            sorted((k, v) for k, v in run.data.tags.items() if k not in ignored),
        )
        for run in runs
    )

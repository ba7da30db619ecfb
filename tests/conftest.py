"""What many tests need: a small real data set and an MLflow store that is ready at once."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from mlproject.training.torch_environment import set_torch_environment

set_torch_environment()  # before anything imports torch
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
import pytest
from mlflow import MlflowClient

from mlproject import cli
from mlproject.data.bars import load_bars


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database: making one takes seconds, copying one does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def work_directory(tmp_path: Path, mlflow_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that a user might work in, with an empty MLflow database."""
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(None)  # what another test set in code would win over the environment
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def small_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 800 S&P 500 bars as a user's own file: a trial on it takes a moment."""
    path = tmp_path_factory.mktemp("market") / "small.csv"
    load_bars("sp500").frame.head(800).to_csv(path, index=False)
    return path


@pytest.fixture
def command(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `mlproject …` in this process: exit code, what it printed, last line of its errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mlproject", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        return int(str(ended.value.code)), captured.out, lines[-1] if lines else ""

    return run

"""What many tests need: small data, small studies, MLflow stores that are ready at once."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlproject.training.system.environment import set_torch_environment

set_torch_environment()  # before anything imports torch
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import hypothesis
import mlflow
import optuna
import pytest
from mlflow import MlflowClient

from mlproject.cli import main as cli
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is slow, not wrong
hypothesis.settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, what takes long comes first, so that they end together.

    A file's tests stay together, for their fixtures; those that drive processes do not.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    rank: dict[str, int] = {}
    for item in items:
        end_to_end = "end_to_end" in item.path.parts
        if not item.get_closest_marker("xdist_group"):
            name = item.nodeid if end_to_end else str(item.path)
            item.add_marker(pytest.mark.xdist_group(name))
        slow = item.get_closest_marker("slow") is not None
        group = _group(item)
        rank[group] = min(rank.get(group, 2), 0 if end_to_end else 1 if slow else 2)
    items.sort(key=lambda item: rank[_group(item)])


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])


@pytest.fixture(scope="session", autouse=True)
def _cache_of_bars(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["MLPROJECT_CACHE"] = str(tmp_path_factory.mktemp("bars"))


@pytest.fixture(autouse=True)
def _verbosity_of_optuna() -> Iterator[None]:
    """Optuna's verbosity is the process's: what a test or a benchmark sets ends with the test."""
    verbosity = optuna.logging.get_verbosity()
    yield
    optuna.logging.set_verbosity(verbosity)


LEGACY = Path(__file__).parent / "recovery" / "legacy"

MakeSettings = Callable[..., StudySettings]
MakeSpace = Callable[..., SearchSpace]


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database: making one takes seconds, copying one does not."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def with_pictures() -> None:
    """For tests that look at the pictures of a study."""


@pytest.fixture
def _without_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take as long as the trials of a small study, and most tests look at none."""
    if "with_pictures" not in request.fixturenames:
        drawing = "mlproject.analysis.summary.parent_run._log_pictures"
        monkeypatch.setattr(drawing, lambda *_: None)


@pytest.fixture
def work_directory(
    tmp_path: Path,
    mlflow_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    _without_pictures: None,
) -> Path:
    """An empty directory that a user might work in, with an empty MLflow database.

    Studies that run in this process draw no pictures there, unless `with_pictures` asks for them.
    """
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


def tags_of_mlflow_run(entry_point: str) -> dict[str, str]:
    """What `mlflow run` tags the run with that it makes before it starts the project."""
    return {"mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": entry_point}


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    def make(budget: str = "2M", **changes: Any) -> StudySettings:
        values = {
            "experiment": "phase6a",
            "budget": parse_budget(budget),
            "horizon_days": 3,
            "task": parse_task("threshold_1pct"),
        }
        return StudySettings(**{**values, **changes})

    return make


@pytest.fixture(scope="session")
def make_space(make_settings: MakeSettings) -> MakeSpace:
    def make(budget: str = "2M", **changes: Any) -> SearchSpace:
        settings = make_settings(budget, **changes)
        return SearchSpace.of(settings, 25)

    return make


@pytest.fixture
def legacy_store(work_directory: Path, legacy_template: Path) -> Path:
    """A working directory whose MLflow store holds the old logs and nothing else."""
    (work_directory / "mlflow.db").write_bytes(legacy_template.read_bytes())
    return work_directory


@pytest.fixture(scope="session")
def legacy_template(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after a backfill of the old logs: it takes seconds, a copy takes none."""
    from recovery.cli import cli

    directory = tmp_path_factory.mktemp("legacy")
    store = directory / "mlflow.db"
    store.write_bytes(mlflow_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        mlflow.set_tracking_uri(None)  # the environment decides
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
        for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        cli.main(["backfill", str(LEGACY / "*.log")], standalone_mode=False)
    return store

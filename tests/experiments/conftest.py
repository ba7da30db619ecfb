"""Small studies over real grids, and the old logs in a real store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

from mlproject.data.labels import parse_task
from mlproject.experiments.search_space import SearchSpace
from mlproject.experiments.settings import StudySettings
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget

LEGACY = Path(__file__).parents[1] / "recovery" / "legacy"

MakeSettings = Callable[..., StudySettings]
MakeSpace = Callable[..., SearchSpace]


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
        return SearchSpace(architecture_grid(settings.budget, 25, settings.grid_version), settings)

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

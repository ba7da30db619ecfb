"""MLflow and Optuna on a real PostgreSQL: the stores of a team."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking.names import Param, Tag
from tests.end_to_end.postgres import Postgres
from tests.end_to_end.processes import SERVERS, backfill, free_port, mlflow_server, project
from tests.recovery.conftest import LEGACY, LOGS

pytestmark = pytest.mark.xdist_group(SERVERS)


def _trials(uri: str, experiment: str = "phase6a") -> list[Run]:
    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], max_results=1000)
    return [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]


def test_old_logs_come_in_through_a_tracking_server_on_postgresql(
    database: Postgres, tmp_path: Path
) -> None:
    store = database.new_database("server")
    with mlflow_server(tmp_path, free_port(), store) as address:
        first = backfill(str(LEGACY / "*.log"), cwd=tmp_path, MLFLOW_TRACKING_URI=address)
        assert first.returncode == 0, first.stderr
        before = {run.info.run_id: run.to_dictionary() for run in _trials(address)}
        assert len(LOGS) == 3 and len(before) == 200
        again = backfill(str(LEGACY / "*.log"), cwd=tmp_path, MLFLOW_TRACKING_URI=address)
        assert again.returncode == 0, again.stderr
        assert again.stdout.count("(0 new or completed)") == 4
        assert {run.info.run_id: run.to_dictionary() for run in _trials(address)} == before
    assert not (tmp_path / "mlflow.db").exists()


def test_a_study_keeps_its_trials_and_its_runs_in_postgresql(
    database: Postgres, tmp_path: Path, small_market: Path
) -> None:
    runs, trials = database.new_database("runs"), database.new_database("trials")
    command = ("study", "--budget", "100k", "--horizon", "3", "--data", str(small_market))
    more = ("--n-trials", "2", "--max-epochs", "1")
    env = {"MLFLOW_TRACKING_URI": runs, "MLPROJECT_STORAGE": trials}
    for _ in range(2):  # launched again, it has nothing to do
        study = project(*command, *more, cwd=tmp_path, **env)
        assert study.returncode == 0, study.stderr
    live = _trials(runs)
    assert len(live) == 2
    # Read back from Optuna's storage, the runs are those that are there.
    for experiment in ("phase6a", "again"):
        arguments = ("--optuna", trials, "--experiment", experiment)
        result = backfill(*arguments, cwd=tmp_path, MLFLOW_TRACKING_URI=runs)
        assert result.returncode == 0, result.stderr
        found = {run.data.tags[Tag.TRIAL_NUMBER]: run for run in _trials(runs, experiment)}
        assert len(found) == 2
        for run in live:
            recovered = found[run.data.tags[Tag.TRIAL_NUMBER]]
            assert set(recovered.data.params) == {*Param} - {Param.WARMUP_STEPS}
            assert recovered.data.params == run.data.params
            assert recovered.data.metrics == run.data.metrics
    assert not list(tmp_path.glob("*.db"))

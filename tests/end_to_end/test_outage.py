"""The tracking server goes away in the middle of a study, and comes back."""

from pathlib import Path

from mlflow import MlflowClient

from mlproject.tracking.names import Metric, Param, Tag
from tests.end_to_end.processes import (
    free_port,
    mlflow_server,
    project,
    start_project,
    wait_until,
)

N_TRIALS = 4


def test_a_study_outlives_its_tracking_server(work_directory: Path, small_market: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    env = {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    command = (
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(small_market)),
        *("--n-trials", str(N_TRIALS), "--max-epochs", "4"),
    )
    log = work_directory / "trial_logs" / "phase6a_100k_h3_threshold_1pct.log"

    with mlflow_server(work_directory, port):
        study = start_project(*command, cwd=work_directory, **env)
        wait_until(lambda: log.exists() and "Trial 1 epoch 1" in log.read_text(), "trial 1")
    _, stderr = study.communicate(timeout=300)
    assert study.returncode == 3
    last = stderr.rstrip().splitlines()[-1]
    assert last.startswith("error: study phase6a_100k_h3_threshold_1pct is finished, but MLflow")
    assert "run the same command again" in last
    assert log.read_text().count(" ended: ") == N_TRIALS

    refused = project(*command, cwd=work_directory, **env)
    assert refused.returncode == 2
    assert f"error: tracking store {address} does not answer" in refused.stderr

    with mlflow_server(work_directory, port):
        again = project(*command, cwd=work_directory, **env)
    assert again.returncode == 0, again.stderr

    client = MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'phase6a'")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    assert sorted(run.data.tags[Tag.TRIAL_NUMBER] for run in trials) == ["0", "1", "2", "3"]
    for run in trials:
        assert set(run.data.params) == {str(name) for name in Param}
        assert set(run.data.metrics) == {str(name) for name in Metric}
        for name in (Metric.TRAIN_LOSS, Metric.VAL_LOSS):
            steps = [p.step for p in client.get_metric_history(run.info.run_id, name)]
            assert sorted(steps) == [1, 2, 3, 4]

"""``mlflow run`` as a user types it."""

import shutil
from pathlib import Path

import optuna
from mlflow import MlflowClient

from mlproject.tracking.names import ETA_METRIC, Metric, Param, Tag
from tests.end_to_end.processes import MLFLOW_RUN, mlflow_run, unforked
from tests.recovery.conftest import LEGACY


def test_one_command_makes_a_study_of_nested_runs_and_goes_on_with_it(tmp_path: Path) -> None:
    command = ("-P", "budget=100k", "-P", "horizon=3", "-P", "max_epochs=1", "-P", "max_steps=50")
    first = unforked(*MLFLOW_RUN, *command, "-P", "n_trials=3", cwd=tmp_path)
    assert first.returncode == 0, first.stderr

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (parent,) = client.search_runs(["0"], "tags.`mlflow.parentRunId` IS NULL")
    assert parent.info.run_name == "phase6a_100k_h3_threshold_1pct"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics[ETA_METRIC] == 0
    told = client.get_metric_history(parent.info.run_id, ETA_METRIC)
    assert {point.value > 0 for point in told} == {True, False}
    trials = client.search_runs(["0"], "tags.trial_number LIKE '%'")
    assert len(trials) == 3
    for run in trials:
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert set(run.data.params) == {str(name) for name in Param}
        assert set(run.data.metrics) == {str(name) for name in Metric}
        assert {Tag.STUDY_NAME, Tag.TRIAL_NUMBER, Tag.TRIAL_STATE, Tag.ORIGIN} <= set(run.data.tags)
        assert run.data.tags[Tag.FORCED_EXTREME]
        assert run.info.status == "FINISHED"
    # Everything lies where the user works, not where the project lies.
    assert (tmp_path / "trial_logs" / "phase6a_100k_h3_threshold_1pct.log").exists()
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path / 'optuna.db'}")

    second = mlflow_run(*command, "-P", "n_trials=4", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    trials = client.search_runs(["0"], "tags.trial_number LIKE '%'")
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert sorted(run.data.tags[Tag.TRIAL_NUMBER] for run in trials) == ["0", "1", "2", "3"]
    runs = client.search_runs(["0"])
    assert {run.info.status for run in runs} == {"FINISHED"}
    launches = [run for run in runs if run.info.run_name.startswith("launch of ")]
    assert [run.data.tags["mlflow.parentRunId"] for run in launches] == [parent.info.run_id]


def test_without_an_experiment_name_live_and_recovered_runs_lie_together(
    tmp_path: Path, small_market: Path
) -> None:
    command = ("-P", "budget=100k", "-P", f"data={small_market}", "-P", "max_epochs=1")
    study = mlflow_run(*command, "-P", "n_trials=1", cwd=tmp_path)
    assert study.returncode == 0, study.stderr
    logs = tmp_path / "trial_logs"  # the study's own log is in there, and adds nothing
    shutil.copy(LEGACY / "20M_micro_batch.log", logs)
    backfill = mlflow_run("-e", "backfill", "-P", f"logs={logs}", cwd=tmp_path)
    assert backfill.returncode == 0, backfill.stderr

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = client.search_experiments()
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    origins = [run.data.tags[Tag.ORIGIN] for run in trials]
    assert (origins.count("live"), origins.count("log")) == (1, 50)
    assert {run.data.tags[Tag.STUDY_NAME] for run in trials} == {
        "phase6a_100k_h3_threshold_1pct",
        "phase6a_20M_h3_threshold_1pct",
    }
    audit = mlflow_run("-e", "audit", cwd=tmp_path)
    assert "phase6a_100k_h3_threshold_1pct" in audit.stdout + audit.stderr

"""Optuna storages of any program, read like logs."""

from pathlib import Path

import optuna
import pytest
from recovery.sources.optuna.storage import UnreadableStorage

from mlproject.tracking.names import Tag
from tests.recovery.runs import all_runs, backfill, run, trial_runs


def test_an_optuna_storage_is_read_like_a_log(work_directory: Path) -> None:
    url = f"sqlite:///{work_directory / 'old.db'}"
    study = optuna.create_study(storage=url, study_name="phase6a_2M_h1_threshold_1pct_2M")

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("arch_idx", 0, 74)
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-3)
        trial.suggest_int("epochs", 50, 100)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise RuntimeError("no memory")
        return rate

    study.optimize(objective, n_trials=4, catch=RuntimeError)
    assert run("backfill", "--optuna", url) == 0
    runs = {r.data.tags["trial_number"]: r for r in trial_runs(work_directory)}
    assert {n: r.info.status for n, r in runs.items()} == {
        "0": "FINISHED",
        "1": "KILLED",
        "2": "FAILED",
        "3": "FINISHED",
    }
    assert runs["2"].data.tags["failure_reason"] == "the storage gives no reason"
    for trial in study.trials:
        params = runs[str(trial.number)].data.params
        assert params["learning_rate"] == str(trial.params["learning_rate"])
        assert "n_heads" not in params  # nothing proves the grid
    assert run("backfill", "--optuna", url) == 0
    assert len(trial_runs(work_directory)) == 4


def test_a_hostile_storage_is_read_like_any_other(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(
        storage="sqlite:///other.db", study_name="phase6a_2M_h1_threshold_1pct"
    )
    trial = study.ask()
    trial.suggest_float("x' OR '1'='1\n<img>" + "y" * 400, 0, 1)
    trial.set_user_attr("d_model", 10**400)
    study.tell(trial, 0.5)
    assert backfill("--optuna", "sqlite:///other.db", monkeypatch=monkeypatch) == 0
    (run,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER in r.data.tags]
    assert "d_model" not in run.data.params
    (tag,) = [name for name in run.data.tags if name.startswith("recovery.param.")]
    assert tag.startswith("recovery.param.x__OR__1___1__img_yyy")


def test_a_study_without_a_usable_name_costs_no_other(
    work_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bob's", "phase6a_2M_h1_threshold_1pct"):
        study = optuna.create_study(storage="sqlite:///other.db", study_name=name)
        study.optimize(lambda trial: trial.suggest_float("learning_rate", 0, 1), n_trials=1)
    assert run("inspect", "--optuna", "sqlite:///other.db") == 1
    said = capsys.readouterr().out
    assert "1 trials sound" in said and "cannot name a study" in said


def test_a_store_of_mlflows_is_said_to_be_one(work_directory: Path) -> None:
    with pytest.raises(UnreadableStorage, match="a store of MLflow's"):
        run("inspect", "--optuna", "sqlite:///mlflow.db")

"""Backfills that are repeated, go wrong, or read other sources than logs."""

from pathlib import Path

import optuna
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from recovery.cli import cli

from mlproject.errors import UserError
from mlproject.tracking import recorder
from mlproject.tracking.errors import TrackingUnreachable
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs, content, trial_runs

LOG = LEGACY / "20M_micro_batch.log"


def run(*arguments: object) -> int:
    return int(cli.main([str(a) for a in arguments], standalone_mode=False))


def test_a_log_that_has_grown_completes_what_was_open(work_directory: Path) -> None:
    lines = LOG.read_bytes().splitlines(keepends=True)
    growing = work_directory / LOG.name
    cut = next(n for n, line in enumerate(lines) if b"Trial 30 finished" in line)
    growing.write_bytes(b"".join(lines[:cut]))
    assert run("backfill", growing) == 0
    runs = {r.data.tags["trial_number"]: r for r in trial_runs(work_directory)}
    assert len(runs) == 31
    assert runs["30"].info.status == "FAILED" and "failure_reason" in runs["30"].data.tags
    growing.write_bytes(b"".join(lines))
    assert run("backfill", growing) == 0
    grown = {r.data.tags["trial_number"]: r for r in trial_runs(work_directory)}
    assert len(grown) == 50
    assert grown["30"].info.run_id == runs["30"].info.run_id
    assert grown["30"].info.status == "FINISHED" and "failure_reason" not in grown["30"].data.tags
    whole = content(work_directory)
    growing.write_bytes(b"".join(lines[:cut]))
    assert run("backfill", growing) == 0
    unchanged = [r for r in content(work_directory) if r[0]]
    assert unchanged == [r for r in whole if r[0]]  # an older copy takes nothing back


def test_a_store_that_goes_away_is_one_line_and_the_same_command_goes_on(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    close = recorder._write_whole_run

    def fail_after_20(*arguments: object) -> None:
        if len(written) == 20:
            raise MlflowException("connection refused\nand a long trace")
        written.append(close(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(recorder, "_write_whole_run", fail_after_20)
    with pytest.raises(TrackingUnreachable, match="run the same command again") as raised:
        run("backfill", LOG)
    assert "\n" not in str(raised.value)
    monkeypatch.undo()
    monkeypatch.chdir(work_directory)
    assert run("backfill", LOG) == 0
    assert len(trial_runs(work_directory)) == 50


def test_a_quarantined_row_stays_out_and_can_be_read(work_directory: Path) -> None:
    damaged = work_directory / "damaged.log"
    damaged.write_bytes(LOG.read_bytes().replace(b"lr=0.000238,", b"lr=0.000338,"))
    assert run("backfill", damaged) == 1
    assert len(trial_runs(work_directory)) == 49
    [parent] = [r for r in all_runs(work_directory) if r.info.run_name.startswith("phase6a")]
    path = parent.info.artifact_uri.removeprefix("file://")
    folder = Path(path) / "recovery" / "damaged.log"
    assert {p.name for p in folder.iterdir()} == {
        "quarantine.csv",
        "validation.html",
        "validation.json",
    }
    header, row = (folder / "quarantine.csv").read_text().splitlines()
    assert header.startswith("reasons,study_name")
    assert row.startswith("learning_rate is 0.000338 on the trial's line and 0.00023830549")
    # Mended, the row comes in.
    damaged.write_bytes(LOG.read_bytes())
    assert run("backfill", damaged) == 0
    assert len(trial_runs(work_directory)) == 50


def test_a_dry_run_writes_nothing(work_directory: Path) -> None:
    before = (work_directory / "mlflow.db").read_bytes()
    result = CliRunner().invoke(cli, ["backfill", str(LOG), "--dry-run"], standalone_mode=False)
    assert result.return_value == 0
    assert (
        "phase6a_20M_h3_threshold_1pct: 50 trials would be written, 0 quarantined" in result.output
    )
    assert "times are UTC" in result.output
    assert (work_directory / "mlflow.db").read_bytes() == before


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


@pytest.mark.parametrize(
    ("content_of_log", "message"),
    [
        (b"", "no trial in bad.log"),
        (b"hello\n", "no trial in bad.log"),
        (b"\x1f\x8b broken", "bad.log cannot be read"),
    ],
)
def test_what_is_no_log_is_one_clear_line(
    tmp_path: Path, content_of_log: bytes, message: str
) -> None:
    path = tmp_path / "bad.log"
    path.write_bytes(content_of_log)
    with pytest.raises(UserError, match=message) as raised:
        run("inspect", path)
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/*.log"], "no log at nowhere"),
        ([LOG, "--timezone", "Moon/Base"], "unknown time zone"),
        (["--optuna", "sqlite:////nowhere/at/all.db"], "there is no such file"),
        (["--optuna", "nonsense"], "cannot be read"),
    ],
)
def test_what_is_mistyped_is_one_clear_line(arguments: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        run("inspect", *arguments)
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("launched_in", "asked_for", "expected"),
    [("other", None, "other"), ("other", "third", "third"), ("Default", None, "Default")],
)
def test_under_mlflow_run_its_experiment_is_used_unless_another_is_asked_for(
    work_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    launched_in: str,
    asked_for: str | None,
    expected: str,
) -> None:
    client = MlflowClient()
    found = client.get_experiment_by_name(launched_in)
    experiment_id = found.experiment_id if found else client.create_experiment(launched_in)
    launch = client.create_run(experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", launch)
    run("backfill", LOG, *(["--experiment", asked_for] if asked_for else []))
    assert len(trial_runs(work_directory, expected)) == 50
    assert client.get_run(launch).info.run_name == "backfill"

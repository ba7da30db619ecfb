"""Backfills that are repeated or go wrong."""

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlproject.tracking import recorder
from mlproject.tracking.errors import TrackingUnreachable
from tests.conftest import tags_of_mlflow_run
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs, content, run, trial_runs

pytestmark = pytest.mark.slow

LOG = LEGACY / "20M_micro_batch.log"


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
    tags = tags_of_mlflow_run("backfill")
    launch = client.create_run(experiment_id, tags=tags).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", launch)
    run("backfill", LOG, *(["--experiment", asked_for] if asked_for else []))
    assert len(trial_runs(work_directory, expected)) == 50
    assert client.get_run(launch).info.run_name == "backfill"

"""A time zone that was forgotten is mended by the same command with the zone."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.names import Tag
from tests.recovery.legacy_lines import CREATED, STUDY, finish, log, start
from tests.recovery.runs import all_runs, run, trial_runs

HOURS_8 = 8 * 3600 * 1000
LOG = log(CREATED, start(0, 1), finish(0, 2), start(1, 3), finish(1, 4))


def starts(directory: Path) -> list[int]:
    return sorted(r.info.start_time for r in all_runs(directory))


def test_the_zone_mends_the_times_and_doubles_nothing(
    work_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(LOG)
    assert run("backfill", path) == 0
    before = starts(work_directory)
    assert run("backfill", path, "--timezone", "America/Los_Angeles") == 0
    assert "2 runs had the times of another zone" in capsys.readouterr().out
    assert starts(work_directory) == [each + HOURS_8 for each in before]
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    assert parent.data.tags[Tag.STUDY_NAME] == STUDY and parent.info.status == "FINISHED"
    # Without the option nothing is taken back, and it is said.
    assert run("backfill", path) == 0
    assert "2 runs have the times of another zone than UTC" in capsys.readouterr().out
    assert starts(work_directory) == [each + HOURS_8 for each in before]
    assert not (work_directory / "mlflow.db.backfill.lock").exists()


def test_runs_of_other_sources_and_their_parent_stay(work_directory: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(LOG)
    later = CREATED.replace("03:00", "03:10")
    second.write_bytes(log(later, start(0, 11), finish(0, 12)))
    assert run("backfill", first, second) == 0
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    kept = {
        r.info.run_id
        for r in trial_runs(work_directory)
        if r.data.tags["recovery.source"] == "b.log"
    }
    run("backfill", first, "--timezone", "America/Los_Angeles")
    runs = trial_runs(work_directory)
    assert len(runs) == 3 and kept <= {r.info.run_id for r in runs}
    assert MlflowClient().get_run(parent.info.run_id).info.lifecycle_stage == "active"

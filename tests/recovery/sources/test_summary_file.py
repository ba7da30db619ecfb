"""The summary files of the old program, genuine and hostile."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from recovery.checks.validate import validate
from recovery.cli import cli
from recovery.records import LaunchId, TimesFrom, TrialRecord
from recovery.resolve import resolve
from recovery.sources.files import open_log
from recovery.sources.summary_file import MAX_BYTES, BadSummaryFile, read_summary_file

from mlproject.tracking.names import Metric, Param
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import trial_runs


@pytest.mark.slow
def test_the_log_and_the_summary_file_tell_of_the_same_trials(
    work_directory: Path, tmp_path: Path
) -> None:
    summaries = []
    for path in LEGACY.glob("2M_no_heads.truth/*.json"):
        summaries.append(tmp_path / f"{path.stem}_all_trials.json")
        summaries[-1].write_bytes(path.read_bytes())
    cli.main(["backfill", str(LEGACY / "2M_no_heads.log")], standalone_mode=False)
    assert cli.main(["backfill", str(tmp_path)], standalone_mode=False) == 0
    runs = trial_runs(work_directory)
    assert len(runs) == 100
    assert {run.data.tags["recovery.source"] for run in runs} == {"2M_no_heads.log"}


def test_a_summary_file_alone_gives_the_trials_too(
    work_directory: Path, tmp_path: Path, truth: dict[str, dict[int, dict[str, Any]]]
) -> None:
    study = "phase6a_20M_h1_threshold_1pct"
    path = tmp_path / f"{study}_all_trials.json"
    path.write_bytes((LEGACY / f"20M_forced_extremes.truth/{study}.json").read_bytes())
    assert cli.main(["backfill", str(path)], standalone_mode=False) == 0
    for run in trial_runs(work_directory):
        trial = truth[study][int(run.data.tags["trial_number"])]
        assert run.data.params["n_heads"] == str(trial["n_heads"])
        assert run.data.params["arch_idx"].isdigit()
        assert run.data.metrics["val_accuracy"] == trial["val_accuracy"]
        assert run.data.tags["recovery.times_from"] == "time of the file's last trial"


def test_a_summary_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb_all_trials.json"
    with gzip.open(path, "wb") as bomb:
        for _ in range(MAX_BYTES // (1 << 20) + 1):
            bomb.write(b" " * (1 << 20))
    assert path.stat().st_size < 100_000
    with open_log(str(path)) as stream, pytest.raises(BadSummaryFile, match="holds more than"):
        read_summary_file(stream, str(path), LaunchId(1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"experiment": "phase6a_2M_h1_threshold_1pct'; DROP TABLE runs; --"}, "cannot name"),
        (
            {"trials": [{"trial_number": 0, "value": 0.5, "params": {}, "d_model": 10**400}]},
            "large",
        ),
        ({"trials": [{"trial_number": 10**400, "value": 0.5, "params": {}}]}, "no trial has"),
        ({"trials": [{"trial_number": 0, "value": "__import__('os')", "params": {}}]}, "convert"),
        ({"trials": {"__reduce__": []}}, "is not a summary"),
    ],
)
def test_a_hostile_summary_is_one_line(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    name, time = "phase6a_2M_h1_threshold_1pct", "2026-11-23T20:14:13"
    path = tmp_path / "x_all_trials.json"
    path.write_text(json.dumps({"experiment": name, "timestamp": time, "trials": [], **change}))
    with path.open("rb") as stream, pytest.raises(BadSummaryFile, match=said):
        read_summary_file(stream, str(path), LaunchId(1))


def old_summary(**changes: Any) -> dict[str, Any]:
    """As the script wrote it that recovered trials from logs before this program did."""
    trial = {
        "start_time": "2026-11-23 20:15:48,188",
        "end_time": "2026-11-23 20:15:48,203",
        "arch_idx": 15,
        "d_model": 64,
        "n_layers": 48,
        "param_count": 1621697,
        "lr": 0.00094,
        "trial_number": 12,
        "val_loss": 0.26534067930492616,
        "params": {"arch_idx": 15, "learning_rate": 0.0009403278702892614, "epochs": 75},
    }
    return {
        "experiment": "phase6a_2M_h1_threshold_1pct",
        "trials": [{**trial, **changes}],
        "timestamp": "2026-11-27T19:07:41.362308",
    }


def read_old(tmp_path: Path, **changes: Any) -> TrialRecord:
    path = tmp_path / "x_all_trials.json"
    path.write_text(json.dumps(old_summary(**changes)))
    with path.open("rb") as stream:
        [record] = read_summary_file(stream, str(path), LaunchId(1), ZoneInfo("Europe/Berlin"))
    return record


def test_a_summary_of_the_older_recovery_script_is_read(tmp_path: Path) -> None:
    record = read_old(tmp_path)
    assert record.metrics == {Metric.BEST_VAL_LOSS: 0.26534067930492616}
    assert record.params[Param.LEARNING_RATE] == 0.0009403278702892614
    # Its times are those of the log, in the zone of the log.
    assert record.started_ms == 1795461348188 and record.ended_ms == 1795461348203
    assert record.times_from is TimesFrom.LOG
    run = resolve("phase6a_2M_h1_threshold_1pct", [record]).trials[0]
    assert (
        run.params[Param.N_FEATURES] == 20
        and not validate(resolve("phase6a_2M_h1_threshold_1pct", [record])).errors
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [({"state": "PRUNED"}, "PRUNED"), ({"state": "TrialState.FAIL"}, "FAIL"), ({}, "COMPLETE")],
)
def test_a_summary_that_names_states_is_believed(
    changes: dict[str, Any], state: str, tmp_path: Path
) -> None:
    assert read_old(tmp_path, **changes).state == state


def test_a_value_that_is_null_is_quarantined(tmp_path: Path) -> None:
    study = resolve("phase6a_2M_h1_threshold_1pct", [read_old(tmp_path, val_loss=None)])
    assert validate(study).errors == {0: ("it is complete, but its value is not known",)}


def test_an_entry_that_cannot_be_read_costs_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [good] = old_summary()["trials"]
    others = [{**good, "start_time": "yesterday"}, {**good, "trial_number": None}, "words"]
    path = tmp_path / "x_all_trials.json"
    path.write_text(json.dumps({**old_summary(), "trials": [*others, good]}))
    assert cli.main(["inspect", str(path)], standalone_mode=False) == 1
    said = capsys.readouterr().out
    assert "1 trials sound, 0 quarantined" in said
    assert "its trial 1 cannot be read" in said and "its trial 3 cannot be read" in said


@pytest.mark.parametrize("shape", ["no experiment", "no timestamp", "a list of trials"])
def test_what_an_older_summary_lacks_is_known_from_elsewhere(shape: str, tmp_path: Path) -> None:
    summary: Any = old_summary()
    whole = read_old(tmp_path)
    missing = shape.removeprefix("no ")
    found = summary["trials"] if missing not in summary else summary
    if missing in summary:
        del summary[missing]
    path = tmp_path / f"{whole.study_name}_all_trials.json"
    path.write_text(json.dumps(found))
    with path.open("rb") as stream:
        [record] = read_summary_file(stream, str(path), LaunchId(1), ZoneInfo("Europe/Berlin"))
    assert replace(record, source=whole.source) == whole


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_time_may_be_a_number(factor: int, tmp_path: Path) -> None:
    record = read_old(tmp_path, start_time=1795461348.188 * factor)
    assert record.started_ms == 1795461348188


def test_the_value_of_a_summary_that_maximises_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "x_all_trials.json"
    path.write_text(json.dumps({**old_summary(), "direction": "StudyDirection.MAXIMIZE"}))
    with path.open("rb") as stream:
        [record] = read_summary_file(stream, str(path), LaunchId(1))
    assert any("maximises" in problem for problem in record.problems)

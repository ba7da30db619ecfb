"""The summary files of the old program, genuine and hostile."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from recovery.cli import cli
from recovery.records import LaunchId
from recovery.sources.files import open_log
from recovery.sources.summary_file import MAX_BYTES, BadSummaryFile, read_summary_file

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

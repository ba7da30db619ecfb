"""Logs, their names and what stands in them are data: they can reach nothing but their own run."""

import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from recovery.records import LaunchId
from recovery.sources.files import open_log
from recovery.sources.summary_file import MAX_BYTES, BadSummaryFile, read_summary_file

from mlproject.tracking.names import NOTE_TAG, Tag
from tests.end_to_end.processes import REPOSITORY, environment
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs

LINE = (
    "[I 2026-11-23 20:14:13,539] Trial 0: arch_idx=57, d_model=64, n_layers=48, n_heads=8, "
    "params=2,414,273, lr=0.000160, epochs=50, batch_size=256, d_ff=256, learning_rate=0.00016, "
    "weight_decay=0.0001, warmup_steps=100, dropout=0.2, grid_version=3, n_features=25, "
    "budget={budget}, horizon=3, task={task}, started=2026-11-23T20:14:13.539Z, "
    "study_name={name}.\n"
)


def _backfill(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    from recovery import cli

    monkeypatch.setattr(sys, "argv", ["recovery", "backfill", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(str(ended.value.code))


@pytest.mark.parametrize(
    ("budget", "task", "name"),
    [
        ("2M", "t", "x' AND tags.study_name LIKE '%_2M_h3_t"),
        ("2M", "t", "../../../../tmp/owned_2M_h3_t"),
        ("2M", "t' OR '1'='1", "x_2M_h3_t' OR '1'='1"),
        ("<img src=x>", "t", "x_<img src=x>_h3_t"),
        ("2M", "t\x1b]0;x", "x_2M_h3_t\x1b]0;x"),
    ],
)
def test_a_study_name_that_is_no_name_reaches_no_search_and_no_path(
    budget: str,
    task: str,
    name: str,
    work_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("own.log").write_text(LINE.format(budget=budget, task=task, name=name))
    assert _backfill("own.log", monkeypatch=monkeypatch) == 1
    assert "rejected: 1 × a field of the line cannot be read" in capsys.readouterr().out
    assert all_runs(work_directory) == []


def test_a_file_name_is_only_a_name(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes into paths of artifacts, Markdown, a CSV file, a tag and the terminal."""
    name = "=cmd|'..%2e%2f\x1b]0;x\x07![x](a)<img src=x onerror=alert(1)>.log"
    log = (LEGACY / "20M_micro_batch.log").read_text()
    # Two ends that contradict each other, and a reason that is a formula and moves the cursor.
    end = next(line for line in log.splitlines() if " finished with value: " in line)
    stamp, number = end[:28], end.split()[4]
    hostile = f"{stamp}Trial {number} failed with parameters: {{}} because of the following error: "
    Path("logs").mkdir()
    Path("logs", name).write_text(log.replace(end, f"{hostile}=HYPERLINK(1)\x1b[2J.\n{end}"))
    assert _backfill("logs", monkeypatch=monkeypatch) == 1
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err and "\x07" not in said.out + said.err

    client = MlflowClient()
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    note = parent.data.tags[NOTE_TAG]
    assert r"!\[x](a)\<img" in note and "\x1b" not in note
    (folder,) = client.list_artifacts(parent.info.run_id, "recovery")
    assert set(folder.path.removeprefix("recovery/")) <= set(
        "abcdefghijklmnopqrstuvwxyz0123456789._-"
    )
    local = Path(client.download_artifacts(parent.info.run_id, "", str(work_directory / "got")))
    html = next(local.rglob("validation.html")).read_text()
    assert "<img src=x" not in html
    for path in (*local.rglob("quarantine.csv"), *local.rglob("trials.csv")):
        cells = [cell for row in csv.reader(io.StringIO(path.read_text())) for cell in row]
        texts = [cell for cell in cells if not cell.replace(".", "").lstrip("-").isdigit()]
        assert texts and not any(text.startswith(("=", "+", "@", "-")) for text in texts)
    # Nothing was written anywhere else.
    assert {path.name for path in work_directory.iterdir()} <= {
        *("logs", "got", "mlflow.db", "mlflow.db.backfill.lock", "mlruns", "mlartifacts"),
    }


def test_a_path_that_looks_like_an_option_is_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _backfill("--experiment=", "--", "--dry-run", monkeypatch=monkeypatch) == 2
    assert "error: no log at --dry-run" in capsys.readouterr().err


def test_names_of_files_that_differ_keep_their_own_artifacts(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("..log", "a..log"):
        shutil.copy(LEGACY / "20M_micro_batch.log", name)
    assert _backfill("..log", "a..log", monkeypatch=monkeypatch) == 0
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    (folder,) = MlflowClient().list_artifacts(parent.info.run_id, "recovery")
    assert folder.path == "recovery/..log"


def test_a_summary_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb_all_trials.json"
    with gzip.open(path, "wb") as bomb:
        for _ in range(MAX_BYTES // (1 << 20) + 1):
            bomb.write(b" " * (1 << 20))
    assert path.stat().st_size < 100_000
    with open_log(str(path)) as stream, pytest.raises(BadSummaryFile, match="holds more than"):
        read_summary_file(stream, str(path), LaunchId(1))


@pytest.mark.slow
def test_a_log_that_unpacks_without_end_takes_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.log.gz"
    with gzip.open(path, "wb", compresslevel=1) as bomb:
        for _ in range(512):
            bomb.write(b"\0" * (1 << 20))
        bomb.write(b"\n" * (1 << 20))
    measure = (
        "import re, sys; from pathlib import Path; from recovery.cli import cli\n"
        "try: cli.main(['inspect', sys.argv[1]], standalone_mode=False)\n"
        "except Exception as error: print(error)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, str(path)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "no trial in bomb.log.gz" in done.stdout
    assert int(done.stdout.split()[-1]) < 400_000  # kilobytes


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
    assert _backfill("--optuna", "sqlite:///other.db", monkeypatch=monkeypatch) == 0
    (run,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER in r.data.tags]
    assert "d_model" not in run.data.params
    (tag,) = [name for name in run.data.tags if name.startswith("recovery.param.")]
    assert tag.startswith("recovery.param.x__OR__1___1__img_yyy")

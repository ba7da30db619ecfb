"""Names of files go into paths, notes, tables and terminals, and stay names there."""

import csv
import io
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.names import NOTE_TAG, Tag
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs, backfill

pytestmark = pytest.mark.slow


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
    assert backfill("logs", monkeypatch=monkeypatch) == 1
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


def test_names_of_files_that_differ_keep_their_own_artifacts(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("..log", "a..log"):
        shutil.copy(LEGACY / "20M_micro_batch.log", name)
    assert backfill("..log", "a..log", monkeypatch=monkeypatch) == 0
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    (folder,) = MlflowClient().list_artifacts(parent.info.run_id, "recovery")
    assert folder.path == "recovery/..log"

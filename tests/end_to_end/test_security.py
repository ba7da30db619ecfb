"""A password that the program is given is in nothing that it writes, whatever happens."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow import MlflowClient

from tests.end_to_end.postgres import Postgres
from tests.end_to_end.processes import (
    REPOSITORY,
    SERVERS,
    free_port,
    mlflow_run,
    project,
)

Command = Callable[..., tuple[int, str, str]]

SECRET = "s3cr3t/p@rrot"
ENCODED = quote(SECRET, safe="")
_PARTS = ("s3cr3t", "rrot")
"""A driver that takes the password apart would show one of its halves."""


def _holds_secret(text: str) -> bool:
    return any(part in text for part in _PARTS)


def _files_with_secret(directory: Path) -> list[str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return [str(path) for path in files if _holds_secret(path.read_bytes().decode("latin-1"))]


STUDY = ("study", "--budget", "100k", "--horizon", "3", "--n-trials", "1", "--max-epochs", "1")


@pytest.mark.xdist_group(SERVERS)
def test_a_password_in_a_url_is_in_nothing_that_is_written(
    database: Postgres,
    server: str,
    server_directory: Path,
    work_directory: Path,
    small_market: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = database.new_database("secret_trials").replace("postgres@", f"postgres:{ENCODED}@", 1)
    env = {
        "MLFLOW_TRACKING_URI": server.replace("//", f"//{ENCODED}:{ENCODED}@"),
        "MLPROJECT_STORAGE": storage,
    }
    arguments = ("--debug", *STUDY, "--experiment", "secret", "--data", str(small_market))
    done = project(*arguments, cwd=work_directory, **env)
    assert done.returncode == 0, done.stderr
    # As `mlflow run` calls it, when it has made its run.
    for name, value in {**env, "MLFLOW_RUN_ID": "0123abcd"}.items():
        monkeypatch.setenv(name, value)
    code, out, line = command(*STUDY, f"--storage={storage}")
    assert code == 2
    assert line.startswith("error: --storage holds a password or a token")
    shown = server.replace("//", "//***@")
    assert f"as a param of run 0123abcd in {shown}, where it stays" in line
    port = free_port()
    env["MLFLOW_TRACKING_URI"] = f"http://{ENCODED}:{ENCODED}@127.0.0.1:{port}"
    away = project(*arguments, cwd=work_directory, **env)
    assert away.returncode != 0
    assert "Traceback" in away.stderr
    assert f"tracking store http://***@127.0.0.1:{port} does not answer" in away.stderr
    printed = (done.stdout, done.stderr, out, line, away.stdout, away.stderr)
    assert not any(map(_holds_secret, printed))
    assert _files_with_secret(work_directory) == []
    assert _files_with_secret(server_directory) == []
    assert not _holds_secret(database.dump("secret_trials"))


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        (f"postgresql://me:{ENCODED}@127.0.0.1:9/db", "storage postgresql://me:***@127.0.0.1:9/db"),
        (
            f"postgresql://me@no.such.host/db?password={ENCODED}",
            "/db?password=*** cannot be opened",
        ),
        (f"postgresql://me:{SECRET}@127.0.0.1:9/db", "the storage URL has a password with one of"),
        (f"nonsense://me:{ENCODED}@host/db", "storage nonsense://me:***@host/db cannot be opened"),
        (f"postgresql://me:{ENCODED}@host:port/db", "storage postgresql://me:***@host:port/db"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_named_without_its_password(
    storage: str,
    said: str,
    command: Command,
    small_market: Path,
    work_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLPROJECT_STORAGE", storage)
    code, out, line = command(*STUDY, "--data", str(small_market))
    assert code == 2
    assert said in line
    assert not _holds_secret(out + line)
    assert _files_with_secret(work_directory) == []


def test_a_password_given_to_mlflow_run_is_refused_and_said_to_be_logged(tmp_path: Path) -> None:
    url = f"postgresql://me:{ENCODED}@127.0.0.1:9/db"
    refused = mlflow_run("-P", "budget=100k", "-P", f"storage={url}", cwd=tmp_path)
    assert refused.returncode != 0
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert "--storage holds a password" in line and "MLPROJECT_STORAGE" in line
    assert not _holds_secret(line)
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (run,) = MlflowClient(store).search_runs(["0"])
    assert f"logged it as a param of run {run.info.run_id} in {store}, where it stays" in line
    assert line.endswith("change the password")
    # What MLflow logged is MLflow's: it is neither changed nor deleted, nor written anywhere else.
    assert (run.info.lifecycle_stage, run.info.status) == ("active", "FAILED")
    assert run.data.params["storage"] == url
    assert {Path(file).name.split("-")[0] for file in _files_with_secret(tmp_path)} == {"mlflow.db"}


HOSTILE = 'it\'s "a" $(touch owned) `touch owned`; touch owned\n&& touch owned #'


def test_hostile_parameters_arrive_as_they_were_typed(tmp_path: Path) -> None:
    """Text that a shell would run reaches none."""
    refused = mlflow_run("-P", f"data={HOSTILE}.csv", "-P", "budget=100k", cwd=tmp_path)
    assert refused.returncode != 0
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert f"error: {' '.join(HOSTILE.split())}.csv: there is no such file" in line
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.rglob("*owned*"))
    assert not list(REPOSITORY.glob("*owned*"))
    assert not (tmp_path / "optuna.db").exists()
    # MLflow itself made a run before it called the project: it must not look alive.
    runs = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_runs(["0"])
    assert [run.info.status for run in runs] == ["FAILED"]


def test_the_ui_is_for_this_machine_and_its_command_shows_no_store() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.installed", "ui"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    words = made.stdout.replace("\\\n", " ").split("mlflow ui", 1)[1].split()
    assert words[:2] == ["--host", "127.0.0.1"]
    assert "--backend-store-uri" not in words

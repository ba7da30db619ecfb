"""Where the files of a study lie: each case of the table in `study_files`."""

import tempfile
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from mlproject.experiments.storage import StorageUnreachable, open_study_storage
from mlproject.experiments.study_files import FilesWouldBeLost, study_files
from mlproject.tracking.errors import TrackingUnreachable
from mlproject.tracking.store import TrackingStore, connect

STUDY = "phase6a_2M_h3_threshold_1pct"


@pytest.fixture
def on_file(work_directory: Path) -> TrackingStore:
    return connect("phase6a")


@pytest.fixture
def on_server(on_file: TrackingStore) -> TrackingStore:
    return replace(on_file, uri="http://me:secret@tracking.example:5000")


@pytest.fixture
def fetched(
    on_server: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrackingStore:
    """The working folder is a copy of the project as `mlflow run <URI>` fetches it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    copy = Path(tempfile.mkdtemp()) / "sub"
    copy.mkdir()
    monkeypatch.chdir(copy)
    return replace(on_server, launch_run_id="1", project_source="https://git.example/project#sub")


def test_beside_mlflows_file(on_file: TrackingStore, work_directory: Path) -> None:
    files = study_files(on_file, None, STUDY)
    assert files.storage_url == f"sqlite:///{work_directory / 'optuna.db'}"
    assert files.trial_log == work_directory / "trial_logs" / f"{STUDY}.log"
    assert files.checkpoints == work_directory / "checkpoints" / STUDY


def test_in_the_working_folder_where_mlflow_is_a_server(
    on_server: TrackingStore, work_directory: Path
) -> None:
    assert study_files(on_server, None, STUDY).folder == work_directory


@pytest.mark.parametrize("given", ["sqlite:///other.db", "sqlite+pysqlite:///other.db"])
def test_the_storage_that_is_asked_for_is_named_by_its_whole_path(
    on_file: TrackingStore, work_directory: Path, given: str
) -> None:
    files = study_files(on_file, given, STUDY)
    assert files.storage_url == f"sqlite:///{work_directory / 'other.db'}"
    assert files.folder == work_directory


def test_a_fetched_copy_of_the_project_holds_nothing(
    fetched: TrackingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = study_files(fetched, None, STUDY)
    assert first.folder.parent == tmp_path / "data" / "mlproject"
    assert "secret" not in str(first.folder)
    monkeypatch.chdir(tempfile.mkdtemp())  # the next launch has another copy
    assert study_files(fetched, None, STUDY) == first


def test_a_fetched_copy_keeps_the_log_beside_a_storage_that_is_given(
    fetched: TrackingStore, tmp_path: Path
) -> None:
    files = study_files(fetched, f"sqlite:///{tmp_path / 'kept' / 'optuna.db'}", STUDY)
    assert files.folder == tmp_path / "kept"
    with pytest.raises(FilesWouldBeLost, match="temporary copy of the project"):
        study_files(fetched, "sqlite:///optuna.db", STUDY)


def test_a_project_that_lies_among_temporary_files_is_no_fetched_copy(
    fetched: TrackingStore,
) -> None:
    here = replace(fetched, project_source=str(Path.cwd()))
    assert study_files(here, None, STUDY).folder == Path.cwd()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"]
)
def test_a_storage_in_memory_is_refused(on_file: TrackingStore, url: str) -> None:
    with pytest.raises(StorageUnreachable, match="is in memory"):
        study_files(on_file, url, STUDY)


def test_a_storage_of_an_impossible_name_is_refused(on_file: TrackingStore) -> None:
    with pytest.raises(StorageUnreachable, match=r"too long.*name another"):
        study_files(on_file, f"sqlite:///{'x' * 300}", STUDY)


def test_a_driver_that_is_missing_is_named(work_directory: Path) -> None:
    with pytest.raises(StorageUnreachable, match="the one that has the module MySQLdb"):
        open_study_storage("mysql://me@host/db", STUDY, work_directory)


@pytest.mark.parametrize("name", ["mlflow.db", "copy.db"])
def test_a_store_of_mlflows_is_no_storage(
    on_file: TrackingStore, work_directory: Path, name: str
) -> None:
    (work_directory / "copy.db").write_bytes((work_directory / "mlflow.db").read_bytes())
    with pytest.raises(StorageUnreachable, match="a database of its own"):
        study_files(on_file, f"sqlite:///{work_directory / name}", STUDY)


def test_a_storage_of_optunas_is_no_store_of_mlflows(work_directory: Path) -> None:
    url = f"sqlite:///{work_directory / 'optuna.db'}"
    optuna.create_study(storage=url)
    before = (work_directory / "optuna.db").read_bytes()
    with pytest.raises(TrackingUnreachable, match="MLflow needs a database of its own"):
        connect(None, url)
    assert (work_directory / "optuna.db").read_bytes() == before


def test_what_is_shown_holds_no_password(on_file: TrackingStore) -> None:
    files = study_files(on_file, "postgresql://me:s3cr3t@host/db", STUDY)
    assert "s3cr3t" not in files.as_text() + str(files.as_tags())
    assert "postgresql://me:***@host/db" in files.as_text()

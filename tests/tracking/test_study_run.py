"""The parent run: one, however often a study is launched."""

import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.errors import TrackingUnreachable
from mlproject.tracking.names import PARENT_RUN_ID_TAG, Tag
from mlproject.tracking.store import TrackingStore, connect, open_experiment
from mlproject.tracking.study_run import close_study_run, find_study_run, open_study_run
from mlproject.tracking.whose_run import ExperimentConflict


@pytest.fixture
def client(work_directory: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")


def _store() -> TrackingStore:
    return open_experiment(connect(None))


def _launched_by_mlflow_run(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `mlflow run` does before it starts the project."""
    found = client.get_experiment_by_name("phase6a")
    experiment_id = found.experiment_id if found else client.create_experiment("phase6a")
    tags = {"mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": "main"}
    run_id = client.create_run(experiment_id, tags=tags).info.run_id
    client.log_param(run_id, "budget", "2m")
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    return str(run_id)


def test_a_second_launch_goes_on_under_the_same_parent(client: MlflowClient) -> None:
    first = open_study_run(_store(), "phase6a_2M")
    close_study_run(_store(), first, "FINISHED")
    second = open_study_run(_store(), "phase6a_2M")
    assert second == first
    assert client.get_run(first).info.status == "RUNNING"
    assert client.get_run(first).info.run_name == "phase6a_2M"


def test_another_study_has_another_parent(client: MlflowClient) -> None:
    assert open_study_run(_store(), "phase6a_2M") != open_study_run(_store(), "phase6a_20M")


def test_the_first_run_of_mlflow_run_becomes_the_parent(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _launched_by_mlflow_run(client, monkeypatch)
    assert open_study_run(_store(), "phase6a_2M") == run_id
    assert client.get_run(run_id).info.run_name == "phase6a_2M"
    assert client.get_run(run_id).data.tags[Tag.STUDY_NAME] == "phase6a_2M"


def test_a_later_run_of_mlflow_run_is_a_launch_record(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _launched_by_mlflow_run(client, monkeypatch)
    open_study_run(_store(), "phase6a_2M")
    second = _launched_by_mlflow_run(client, monkeypatch)
    assert open_study_run(_store(), "phase6a_2M") == first
    assert client.get_run(second).data.tags[PARENT_RUN_ID_TAG] == first
    third = _launched_by_mlflow_run(client, monkeypatch)
    assert open_study_run(_store(), "phase6a_2M") == first
    # The second launch was killed: nobody else will close its record.
    assert client.get_run(second).info.status == "FAILED"
    assert "killed" in client.get_run(second).data.tags[Tag.FAILURE_REASON]
    assert client.get_run(third).info.status == "RUNNING"


def test_a_deleted_parent_is_replaced(client: MlflowClient) -> None:
    first = open_study_run(_store(), "phase6a_2M")
    client.delete_run(first)
    assert find_study_run(_store(), "phase6a_2M") is None
    assert open_study_run(_store(), "phase6a_2M") != first


def test_workers_do_not_inherit_the_run_of_mlflow_run(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _launched_by_mlflow_run(client, monkeypatch)
    store = connect(None)
    assert store.launch_run_id == run_id
    assert store.experiment_name == "phase6a"
    assert "MLFLOW_RUN_ID" not in os.environ


def test_a_token_in_the_url_of_a_repository_is_hidden_where_mlflow_run_logged_it(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _launched_by_mlflow_run(client, monkeypatch)
    client.set_tag(run_id, "mlflow.source.name", "https://tok3n@git.example/project")
    connect(None)
    shown = client.get_run(run_id).data.tags["mlflow.source.name"]
    assert shown == "https://***@git.example/project"


def test_mlflow_run_decides_the_experiment(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _launched_by_mlflow_run(client, monkeypatch)
    with pytest.raises(ExperimentConflict, match="--experiment-name elsewhere"):
        connect("elsewhere")


def test_a_deleted_experiment_is_refused_before_anything_is_written(client: MlflowClient) -> None:
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(ExperimentConflict, match="mlflow experiments restore"):
        connect("gone")


def test_connecting_writes_nothing(client: MlflowClient) -> None:
    connect("new")
    assert client.get_experiment_by_name("new") is None


def test_a_server_that_is_away_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingUnreachable, match="does not answer") as caught:
        connect(None)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["file:./mlruns", "./mlruns"])
def test_a_store_of_files_is_answered_with_the_way_out(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingUnreachable, match="mlflow migrate-filestore"):
        connect(None)


@pytest.mark.parametrize("uri", ["http://[::1", "ftp://host/x", "http://127.0.0.1:99999"])
def test_what_names_no_store_is_not_to_be_started(work_directory: Path, uri: str) -> None:
    with pytest.raises(TrackingUnreachable, match=r"names no store .*: set MLFLOW_TRACKING_URI to"):
        connect(None, uri)


def test_databricks_is_no_directory(work_directory: Path) -> None:
    with pytest.raises(TrackingUnreachable) as refused:
        connect(None, "databricks")
    assert "directory of files" not in str(refused.value)

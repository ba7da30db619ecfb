"""Which run, which experiment and which study a launch means: each row of `whose_run`'s table."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.names import ANALYSIS_TAG, LAUNCH_OF_TAG, PARENT_RUN_ID_TAG, Tag
from mlproject.tracking.store import TrackingStore, connect, default_experiment, open_experiment
from mlproject.tracking.study_run import close_study_run, find_study_run, open_study_run
from mlproject.tracking.whose_run import (
    AnotherStore,
    ExperimentConflict,
    begun_elsewhere,
    begun_in,
)

STUDY, SUFFIX = "phase6a_2M_h3_threshold_1pct", "2M_h3_threshold_1pct"

MakeRun = Callable[..., str]


@pytest.fixture
def client(work_directory: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")


@pytest.fixture
def launched(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """A run as `mlflow run` makes it, which MLFLOW_RUN_ID names; with other tags if need be."""

    def make(
        experiment: str = "phase6a", budget: str = "2M", horizon: str = "3", **tags: str
    ) -> str:
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        made_by = {"mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": "main"}
        given = {name.replace("__", "."): value for name, value in tags.items()}
        run_id = str(client.create_run(experiment_id, tags={**made_by, **given}).info.run_id)
        client.log_param(run_id, "budget", budget)
        client.log_param(run_id, "horizon", horizon)
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        return run_id

    return make


def _connect(experiment: str | None = None) -> TrackingStore:
    return connect(experiment, study_suffix=SUFFIX)


def _left_alone(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert _connect().launch_run_id is None
    assert "is left alone" in caplog.text
    assert reason in caplog.text


def test_row_1_without_a_run_in_the_environment_there_is_none(client: MlflowClient) -> None:
    assert _connect().launch_run_id is None


@pytest.mark.parametrize("budget", ["2M", "2m", "2000k", "2000000"])
def test_row_2_the_run_of_mlflow_run_is_the_launchs_own(launched: MakeRun, budget: str) -> None:
    run_id = launched(budget=budget)
    assert _connect().launch_run_id == run_id


def test_row_2_also_where_a_study_script_is_the_entry_point(launched: MakeRun) -> None:
    script = "experiments/phase6a/hpo_2M_h3_threshold_1pct.py"
    run_id = launched(mlflow__project__entryPoint=script, budget="", horizon="")
    assert _connect().launch_run_id == run_id


def test_row_3_a_run_that_the_store_does_not_know_is_left_alone(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0123abcd")
    _left_alone(caplog, "no such run")


def test_row_3_a_relative_store_is_refused_and_no_file_is_left(
    client: MlflowClient, work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0123abcd")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    for ask in (_connect, default_experiment):
        with pytest.raises(AnotherStore, match=r"whole path.*\$PWD/mine.db"):
            ask()
    assert not (work_directory / "mine.db").exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # another one that is there
    with pytest.raises(AnotherStore, match="whole path"):
        _connect()


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_row_4_a_run_that_has_ended_is_left_alone(
    launched: MakeRun, client: MlflowClient, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    client.set_terminated(launched(), status)
    _left_alone(caplog, status)


def test_row_4_a_deleted_run_is_left_alone(
    launched: MakeRun, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.delete_run(launched())
    _left_alone(caplog, "deleted")


@pytest.mark.parametrize(
    "tags", [{"mlflow__source__type": "NOTEBOOK"}, {"mlflow__project__entryPoint": "train"}]
)
def test_row_5_a_run_of_another_program_is_left_alone(
    launched: MakeRun, caplog: pytest.LogCaptureFixture, tags: dict[str, str]
) -> None:
    launched(**tags)
    _left_alone(caplog, "did not make it for this project")


@pytest.mark.parametrize(
    "tag", [Tag.TRIAL_NUMBER.value, Tag.STUDY_NAME.value, ANALYSIS_TAG, LAUNCH_OF_TAG]
)
def test_row_6_a_run_that_is_in_use_is_left_alone(
    launched: MakeRun, client: MlflowClient, caplog: pytest.LogCaptureFixture, tag: str
) -> None:
    run_id = launched(**{tag: "7"})
    before = client.get_run(run_id).to_dictionary()
    _left_alone(caplog, "it ")
    assert open_study_run(open_experiment(_connect()), STUDY) != run_id
    assert client.get_run(run_id).to_dictionary() == before


@pytest.mark.parametrize("params", [("20M", "3"), ("2M", "5"), ("", ""), ("none", "3")])
def test_row_7_a_run_for_another_study_is_left_alone(
    launched: MakeRun, caplog: pytest.LogCaptureFixture, params: tuple[str, str]
) -> None:
    launched("phase6a", *params)
    _left_alone(caplog, "another budget, horizon or task")


def test_row_8_an_experiment_other_than_that_of_mlflow_run_is_refused(launched: MakeRun) -> None:
    launched("e9")
    with pytest.raises(ExperimentConflict, match="--experiment-name elsewhere"):
        _connect("elsewhere")


def test_row_8_an_analysis_may_look_elsewhere(launched: MakeRun) -> None:
    launched("e9")
    assert connect("elsewhere", may_differ=True).experiment_name == "elsewhere"


def test_row_9_what_is_asked_for_wins(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "nb")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "777")
    assert _connect("asked").experiment_name == "asked"


def test_row_10_the_experiment_of_mlflow_run_wins_over_the_environments(
    launched: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched("e9")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "nb")
    assert default_experiment() == "e9"
    assert _connect().experiment_name == "e9"


def test_row_11_a_name_in_the_environment(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "nb")
    assert default_experiment() == "nb"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("other"))
    with pytest.raises(ExperimentConflict, match="unset one of the two"):
        default_experiment()


def test_row_12_an_id_in_the_environment(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment("by id"))
    assert default_experiment() == "by id"
    assert _connect().experiment_name == "by id"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "777")
    with pytest.raises(ExperimentConflict, match="777 names no experiment"):
        _connect()


def test_row_13_nothing_is_said(client: MlflowClient) -> None:
    assert default_experiment() == "phase6a"
    assert _connect().experiment_name == "phase6a"


def test_row_14_the_launchs_own_run_becomes_the_parent(
    launched: MakeRun, client: MlflowClient
) -> None:
    run_id = launched()
    assert open_study_run(open_experiment(_connect()), STUDY) == run_id
    assert client.get_run(run_id).info.run_name == STUDY


def test_row_15_a_parent_inside_an_outer_run_is_found_again(
    launched: MakeRun, client: MlflowClient
) -> None:
    parents = []
    for _ in range(2):
        experiment = open_experiment(_connect()).experiment_id
        outer = client.create_run(experiment).info.run_id
        launched(mlflow__parentRunId=outer)
        store = open_experiment(_connect())
        parents.append(open_study_run(store, STUDY))
        close_study_run(store, parents[-1], "FINISHED")
    assert parents[0] == parents[1]


def _trial(client: MlflowClient, parent: str, number: int) -> str:
    experiment = client.get_run(parent).info.experiment_id
    tags = {Tag.STUDY_NAME: STUDY, Tag.TRIAL_NUMBER: str(number), PARENT_RUN_ID_TAG: parent}
    return str(client.create_run(experiment, tags=tags).info.run_id)


def test_row_16_of_several_parents_that_with_most_trials_is_the_studys(
    client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_experiment(_connect())
    first = open_study_run(store, STUDY)
    client.delete_run(first)
    second = open_study_run(store, STUDY)
    client.restore_run(first)
    assert open_study_run(store, STUDY) == first  # the oldest
    _trial(client, second, 0)
    caplog.clear()
    assert open_study_run(store, STUDY) == second
    assert f"second parent run, {first}" in caplog.text


def test_row_17_the_trials_of_a_deleted_parent_hang_under_the_new_one(
    client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_experiment(_connect())
    first = open_study_run(store, STUDY)
    trials = [_trial(client, first, number) for number in range(2)]
    client.delete_run(first)
    second = open_study_run(store, STUDY)
    assert {client.get_run(run).data.tags[PARENT_RUN_ID_TAG] for run in trials} == {second}
    assert "its 2 trials hang under a new one" in caplog.text
    client.restore_run(first)
    found = find_study_run(store, STUDY)
    assert found is not None and found.info.run_id == second


def _begin_in(client: MlflowClient, experiment: str, *, also: str | None = None) -> str:
    experiment_id = str(client.create_experiment(experiment))
    for name in (experiment, also or experiment):
        tags = {Tag.STUDY_NAME.value: f"{name}_{SUFFIX}"}
        run = client.create_run(experiment_id, tags=tags)
        client.log_param(run.info.run_id, "experiment", name)
    return experiment_id


def test_row_18_in_a_renamed_experiment_the_study_goes_on(
    client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    experiment_id = _begin_in(client, "old")
    client.rename_experiment(experiment_id, "new")
    assert begun_in(client, experiment_id, f"new_{SUFFIX}", SUFFIX) == "old"
    assert f"was called old when study old_{SUFFIX} began" in caplog.text
    assert begun_in(client, experiment_id, f"old_{SUFFIX}", SUFFIX) is None
    assert (
        begun_in(client, experiment_id, "new_20M_h3_threshold_1pct", "20M_h3_threshold_1pct")
        is None
    )


def test_row_18_several_that_may_be_meant_are_named(client: MlflowClient) -> None:
    experiment_id = _begin_in(client, "old", also="older")
    with pytest.raises(ExperimentConflict, match=f"old_{SUFFIX}, older_{SUFFIX}"):
        begun_in(client, experiment_id, f"new_{SUFFIX}", SUFFIX)


def test_row_19_a_study_of_this_name_in_another_experiment_is_found(client: MlflowClient) -> None:
    experiment_id = _begin_in(client, "old")
    client.rename_experiment(experiment_id, "new")
    assert begun_elsewhere(client, f"old_{SUFFIX}") == ["new"]
    assert begun_elsewhere(client, f"new_{SUFFIX}") == []
    client.delete_experiment(experiment_id)
    assert begun_elsewhere(client, f"old_{SUFFIX}") == []

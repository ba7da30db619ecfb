"""What happens to a study between its launches: stores moved, lost, edited, renamed."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.experiments.known_trials import TrialsElsewhere
from mlproject.experiments.study import StudyLaunch, StudyOutcome, WritesPending, run_study
from mlproject.tracking.artifacts import ArtifactsUnwritable
from mlproject.tracking.names import (
    NOTE_TAG,
    STUDY_FOLDER_TAG,
    STUDY_STORAGE_TAG,
    SUMMARY_TAG,
    TRIAL_IDENTITY_TAG,
    Tag,
)
from mlproject.tracking.store import connect
from mlproject.tracking.tracked_studies import read_studies
from tests.conftest import MakeSettings

pytestmark = pytest.mark.slow

NAME = "phase6a_100k_h3_threshold_1pct"
Launch = Callable[..., StudyOutcome]


@pytest.fixture
def launch(work_directory: Path, small_market: Path, make_settings: MakeSettings) -> Launch:
    def run(n_trials: int, *, storage: str | None = None, **changes: Any) -> StudyOutcome:
        few = {"n_trials": n_trials, "max_epochs": 1, "max_steps": 1}
        settings = make_settings("100k", **{**few, **changes})
        return run_study(settings, data=str(small_market), device="cpu", storage=storage)

    return run


@pytest.fixture
def client(work_directory: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")


def _trials(client: MlflowClient, experiment: str = "phase6a") -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], f"tags.{Tag.TRIAL_NUMBER} IS NOT NULL")
    return sorted(runs, key=lambda run: run.data.tags[TRIAL_IDENTITY_TAG])


def _numbers(client: MlflowClient, experiment: str = "phase6a") -> list[str]:
    return [run.data.tags[Tag.TRIAL_NUMBER] for run in _trials(client, experiment)]


def _lose_starts(directory: Path) -> None:
    """What a copy of an experiment in another store looks like: its runs start when it is made."""
    with closing(sqlite3.connect(directory / "mlflow.db")) as store, store:
        store.execute("UPDATE runs SET start_time = start_time + 12345678")


def test_a_trials_run_is_known_by_its_tag_wherever_it_is_moved(
    launch: Launch, client: MlflowClient, work_directory: Path
) -> None:
    launch(2)
    first = _trials(client)
    for number, run in enumerate(first):
        tags = run.data.tags
        assert tags[TRIAL_IDENTITY_TAG] == f"{NAME}/{number}/{run.info.start_time}"
    _lose_starts(work_directory)
    client.set_tag(first[1].info.run_id, Tag.TRIAL_NUMBER, "01")
    # One as an earlier version left it, before it was copied.
    client.delete_tag(first[0].info.run_id, TRIAL_IDENTITY_TAG)
    launch(3)
    again = _trials(client)
    assert [run.data.tags[Tag.TRIAL_NUMBER] for run in again] == ["0", "1", "2"]
    assert [run.info.run_id for run in again[:2]] == [run.info.run_id for run in first]
    assert again[0].data.tags[TRIAL_IDENTITY_TAG] == first[0].data.tags[TRIAL_IDENTITY_TAG]


def test_a_storage_that_does_not_know_the_studys_trials_is_refused(
    launch: Launch, client: MlflowClient, work_directory: Path
) -> None:
    outcome = launch(2)
    tags = client.get_run(outcome.parent_run_id).data.tags
    assert tags[STUDY_STORAGE_TAG] == f"sqlite:///{work_directory / 'optuna.db'}"
    assert tags[STUDY_FOLDER_TAG].endswith(f":{work_directory}")
    with pytest.raises(TrialsElsewhere, match=rf"has 2 trials .*used {tags[STUDY_STORAGE_TAG]}"):
        launch(3, storage=f"sqlite:///{work_directory / 'other.db'}")
    assert not (work_directory / "other.db").exists()
    assert _numbers(client) == ["0", "1"]
    launch(3)
    assert _numbers(client) == ["0", "1", "2"]
    assert not list(work_directory.glob("*.lock"))


def test_trials_that_were_added_by_hand_neither_count_nor_win(
    launch: Launch, client: MlflowClient, work_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    launch(1)
    url = f"sqlite:///{work_directory / 'optuna.db'}"
    study = optuna.load_study(study_name=NAME, storage=url)
    own = study.trials[0]
    study.add_trial(
        optuna.create_trial(value=0.001, params=own.params, distributions=own.distributions)
    )
    study.add_trial(own)  # a copy, with all that its original has
    added = [trial.number for trial in study.trials[-2:]]
    caplog.set_level(logging.WARNING)
    outcome = launch(2)
    assert outcome.finished == 2
    assert outcome.best_trial is not None
    assert outcome.best_trial.number not in added
    assert f"trials {added[0]}, {added[1]} were added to the storage by hand" in caplog.text
    assert _numbers(client) == ["0", "1"]
    assert f"Best is trial {added[0]} " not in outcome.trial_log.read_text()


def test_the_users_description_stays(launch: Launch, client: MlflowClient) -> None:
    parent = launch(1).parent_run_id
    written = client.get_run(parent).data.tags
    assert written[NOTE_TAG] == written[SUMMARY_TAG]
    client.set_tag(parent, NOTE_TAG, f"{written[NOTE_TAG]}\n\nSee page 7.")
    launch(2)
    note = client.get_run(parent).data.tags[NOTE_TAG]
    assert "2 of 2 trials finished" in note
    assert note.endswith("See page 7.")
    client.set_tag(parent, NOTE_TAG, "mine")
    launch(3)
    assert client.get_run(parent).data.tags[NOTE_TAG] == "mine"


def test_in_a_renamed_experiment_the_study_goes_on(launch: Launch, client: MlflowClient) -> None:
    outcome = launch(1)
    experiment = client.get_run(outcome.parent_run_id).info.experiment_id
    client.rename_experiment(experiment, "later")
    again = launch(2, experiment="later")
    assert (again.parent_run_id, again.study_name) == (outcome.parent_run_id, NAME)
    assert _numbers(client, "later") == ["0", "1"]


def test_a_study_whose_experiment_was_renamed_is_not_written_a_second_time(
    launch: Launch, client: MlflowClient
) -> None:
    experiment = client.get_run(launch(1).parent_run_id).info.experiment_id
    client.rename_experiment(experiment, "later")
    with pytest.raises(TrialsElsewhere, match="has its runs in experiment 'later'"):
        launch(2)  # the same command again
    assert client.get_experiment_by_name("phase6a") is None
    client.create_experiment("phase6a")  # as 'mlflow run' does before the launch
    with pytest.raises(TrialsElsewhere, match="--experiment-name"):
        launch(2)
    launch(2, experiment="later")
    assert _numbers(client, "later") == ["0", "1"] and _numbers(client) == []
    launch(1, storage="sqlite:///anew.db")  # another study of the same name
    assert _numbers(client) == ["0"]


@pytest.mark.parametrize("what", ["run", "experiment"])
def test_what_was_deleted_during_a_launch_is_said_to_be_deleted(
    what: str, launch: Launch, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is well, and to start it would not help."""
    summarise = StudyLaunch._summarise

    def delete(self: StudyLaunch) -> None:
        run = client.get_run(self.parent_run_id)
        if what == "run":
            client.delete_run(run.info.run_id)
        else:
            client.delete_experiment(run.info.experiment_id)
        summarise(self)

    monkeypatch.setattr(StudyLaunch, "_summarise", delete)
    with pytest.raises(WritesPending, match="restore in MLflow what was deleted there and run"):
        launch(1)


def test_of_a_restored_parent_each_trial_is_counted_once(
    launch: Launch, client: MlflowClient
) -> None:
    first = launch(2).parent_run_id
    deleted = [first, *(run.info.run_id for run in _trials(client))]
    for run_id in deleted:
        client.delete_run(run_id)
    launch(2)
    for run_id in deleted:
        client.restore_run(run_id)
    launch(3)
    (study,) = read_studies(connect("phase6a")).studies
    assert [each.trial.trial_number for each in study.trials] == [0, 1, 2]


def test_artifacts_that_cannot_be_written_are_one_line_and_the_parent_has_failed(
    launch: Launch, client: MlflowClient
) -> None:
    experiment = client.create_experiment("phase6a", artifact_location="nowhere://bucket/place")
    with pytest.raises(ArtifactsUnwritable, match=r"artifacts go to nowhere://bucket/place"):
        launch(1)
    (parent,) = client.search_runs([experiment])
    assert parent.info.status == "FAILED"

"""`mlproject audit` against real stores: what it prints, keeps, leaves alone and exits with."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow.artifacts
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking.names import ANALYSIS_TAG, NOTE_TAG, Metric, Tag, TrialState
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import connect, open_experiment
from mlproject.tracking.study_run import open_study_run
from mlproject.training.epoch_metrics import restore_epochs
from tests.analysis.audit.conftest import trial_of
from tests.analysis.audit.test_findings import GRID
from tests.conftest import tags_of_mlflow_run

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]


def _runs(experiment: str = "phase6a") -> list[Run]:
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], max_results=5000)) if found else []


def _analyses(experiment: str = "phase6a") -> list[Run]:
    return [run for run in _runs(experiment) if ANALYSIS_TAG in run.data.tags]


def _write(
    *numbers: int,
    states: dict[int, TrialState] | None = None,
    name: str = "2M",
    best: int = 1,
    epochs_run: int = 0,
) -> None:
    """A study; its first five trials have so many epochs, with the lowest loss at `best`."""
    store = open_experiment(connect("phase6a"))
    study_name = f"phase6a_{name}_h3_threshold_1pct"
    parent = open_study_run(store, study_name)
    trials = [
        trial_of(
            GRID.architectures[number],
            GRID,
            number,
            state=(states or {}).get(number, TrialState.COMPLETE),
            tags={Tag.STUDY_NAME.value: study_name},
        )
        for number in numbers
    ]
    curve = {epoch: 0.5 + abs(epoch - best) for epoch in range(1, epochs_run + 1)}
    if curve:
        trials[:5] = [
            replace(
                trial,
                epochs=restore_epochs({}, curve),
                metrics={**trial.metrics, Metric.EPOCHS_RUN: float(epochs_run)},
            )
            for trial in trials[:5]
        ]
    bring_up_to_date(store, parent, trials)
    store.client.set_terminated(parent)


def test_the_findings_are_printed_and_kept_as_artifacts(
    command: Command, legacy_store: Path
) -> None:
    before = {run.info.run_id: run.to_dictionary() for run in _runs()}
    code, output, _ = command("audit", "--experiment", "phase6a")
    assert code == 1
    assert "n_layers 64 was never tested: the study searched grid version 1" in output
    (run,) = _analyses()
    assert run.info.status == "FINISHED"
    assert run.data.tags[NOTE_TAG] in output
    document = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/audit.md")
    assert "## phase6a_2M_h1_threshold_1pct" in document
    content = json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/audit.json"))
    gaps = [f["gap"] for s in content["studies"] for f in s["findings"] if f["gap"]]
    assert {"dimension": "n_layers", "value": 64, "since_version": 2} in gaps
    after = {run.info.run_id: run.to_dictionary() for run in _runs()}
    assert {key: after[key] for key in before} == before
    # And an audit is nobody's study, nor a stranger.
    code, again, _ = command("audit", "--experiment", "phase6a")
    assert "left out" not in again


def test_a_whole_study_is_clean(command: Command, work_directory: Path) -> None:
    _write(*range(80))
    code, output, _ = command("audit")
    assert (code, "1 studies, 0 findings" in output) == (0, True)


def test_a_search_that_trained_in_vain_is_told_and_is_clean(
    command: Command, work_directory: Path
) -> None:
    _write(*range(80), best=1, epochs_run=4)
    code, output, _ = command("audit")
    assert code == 0
    assert "1 studies, 0 findings, 2 about the search itself" in output
    assert "→ 75% of all epochs (15 of 20) came after the best one of their trial" in output


def test_a_crashed_study_is_told_as_it_is(command: Command, work_directory: Path) -> None:
    states = {7: TrialState.FAIL, 12: TrialState.FAIL}
    _write(*range(33), states=states)
    code, output, _ = command("audit", "--planned-trials", "50")
    assert code == 1
    assert "31 of 50 trials finished (31 COMPLETE, 2 FAIL)" in output
    assert "2 failed: no reason known [trial 7, 12]" in output
    assert "31/50" in output


def test_strangers_in_the_experiment_are_left_out_and_counted(
    command: Command, work_directory: Path
) -> None:
    _write(*range(80))
    store = open_experiment(connect("phase6a"))
    ours = _runs()[0].info.run_id
    strangers = [
        {},
        {"mlflow.parentRunId": "gone"},
        {"mlflow.parentRunId": ours, "trial_number": "seven", "trial_state": "COMPLETE"},
        {"mlflow.parentRunId": ours, "trial_number": "7", "trial_state": "DONE"},
    ]
    for tags in strangers:
        run = store.client.create_run(store.experiment_id, tags=tags)
        store.client.log_metric(run.info.run_id, "loss", float("nan"))
    parent = next(
        r
        for r in _runs()
        if Tag.STUDY_NAME in r.data.tags and "mlflow.parentRunId" not in r.data.tags
    )
    odd = {"mlflow.parentRunId": parent.info.run_id, "trial_number": "x", "trial_state": "y"}
    store.client.create_run(store.experiment_id, tags=odd)
    code, output, _ = command("audit")
    assert code == 0
    assert "5 runs of other shapes left out" in output


def test_an_experiment_without_studies_is_said_to_hold_none(
    command: Command, work_directory: Path
) -> None:
    MlflowClient().create_experiment("empty")
    code, output, _ = command("audit", "--experiment", "empty")
    assert (code, "empty holds no study" in output) == (0, True)


def test_a_missing_experiment_is_one_line_and_nothing_is_made(
    command: Command, work_directory: Path
) -> None:
    code, _, error = command("audit", "--experiment", "nowhere")
    assert code == 2
    assert error.startswith("error: no experiment 'nowhere'")
    assert "there are Default" in error
    assert [e.name for e in MlflowClient().search_experiments()] == ["Default"]


@pytest.mark.parametrize("launched_in", ["Default", "phase6a"])
def test_under_mlflow_run_any_experiment_can_be_audited(
    command: Command, legacy_store: Path, monkeypatch: pytest.MonkeyPatch, launched_in: str
) -> None:
    client = MlflowClient()
    experiment = client.get_experiment_by_name(launched_in)
    launch = client.create_run(
        experiment.experiment_id, tags=tags_of_mlflow_run("audit")
    ).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", launch)
    code, output, _ = command("audit", "--experiment", "phase6a")
    assert code == 1
    assert launch in output
    assert {item.path for item in client.list_artifacts(launch)} == {
        "audit.txt",
        "audit.md",
        "audit.json",
    }
    assert [run.info.run_id for run in _analyses(launched_in)] == [launch]

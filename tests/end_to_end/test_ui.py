"""The comparison the whole project exists for, in the real UI."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.experiment_kind import KIND_TAG, MODEL_TRAINING
from mlproject.tracking.names import Tag
from mlproject.tracking.ui_links import LOCAL_UI
from tests.end_to_end.mlflow_ui import CHROMEDRIVER, CHROMIUM, MISSING, MlflowUi, open_ui
from tests.end_to_end.processes import REPOSITORY, SERVERS, backfill, project

pytestmark = [
    pytest.mark.xdist_group(SERVERS),
    pytest.mark.skipif(CHROMIUM is None or CHROMEDRIVER is None, reason=MISSING),
]


@pytest.fixture(scope="module")
def ui(server: str) -> Iterator[MlflowUi]:
    """A browser for all tests here: each has an experiment of its own."""
    with open_ui(server) as ui:
        yield ui


def test_trials_can_be_compared_by_their_architecture(
    tmp_path: Path, small_market: Path, server_store: str, ui: MlflowUi
) -> None:
    study = project(
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(small_market)),
        *("--n-trials", "3", "--max-epochs", "1", "--experiment", "compared"),
        cwd=tmp_path,
        MLFLOW_TRACKING_URI=server_store,
    )
    assert study.returncode == 0, study.stderr
    client = MlflowClient(server_store)
    (experiment,) = client.search_experiments(filter_string="name = 'compared'")
    runs = {
        run.info.run_name: run.data.params
        for run in client.search_runs([experiment.experiment_id])
        if Tag.TRIAL_NUMBER in run.data.tags
    }
    ui.open_runs(experiment.experiment_id)
    assert ui.run_names() == ["compared_100k_h3_threshold_1pct"]
    ui.expand()
    assert ui.run_names() == ["compared_100k_h3_threshold_1pct", "trial 2", "trial 1", "trial 0"]
    ui.select("trial 2", "trial 0")
    ui.compare()
    for name in ("d_model", "n_layers", "n_heads", "param_count"):
        assert ui.compared(name) == [runs["trial 2"][name], runs["trial 0"][name]]


TOGETHER = "side by side"
"""The experiment that holds an old log and a study of the same question."""


@pytest.fixture(scope="module")
def said(
    tmp_path_factory: pytest.TempPathFactory,
    small_market: Path,
    server_directory: Path,
    ui: MlflowUi,
) -> list[str]:
    """What the study of `TOGETHER` printed, in lines."""
    there = {
        "cwd": tmp_path_factory.mktemp("together"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{server_directory / 'mlflow.db'}",
    }
    log = REPOSITORY / "tests" / "recovery" / "legacy" / "2M_no_heads.log"
    recovery = backfill(str(log), "--experiment", TOGETHER, **there)
    assert recovery.returncode == 0, recovery.stderr
    study = project(
        *("study", "--budget", "2M", "--horizon", "3", "--data", str(small_market)),
        *("--n-trials", "2", "--max-epochs", "1", "--max-steps", "2", "--experiment", TOGETHER),
        **there,
    )
    assert study.returncode == 0, study.stderr
    return study.stdout.splitlines()


def test_old_and_new_trials_stand_side_by_side(said: list[str], server: str, ui: MlflowUi) -> None:
    client = MlflowClient(server)
    (experiment,) = client.search_experiments(filter_string=f"name = '{TOGETHER}'")
    # The first trial of each 2M study: two of the old log, whose lines lack n_heads, and a new one.
    search = "params.budget = '2M' AND tags.trial_number = '0'"
    runs = client.search_runs([experiment.experiment_id], search)
    assert sorted(run.data.tags[Tag.ORIGIN] for run in runs) == ["live", "log", "log"]
    ui.open_runs(experiment.experiment_id, search)
    ui.expand()
    assert ui.run_names().count("trial 0") == 3
    ui.select("trial 0")
    ui.compare()
    for name in ("d_model", "n_layers", "n_heads", "param_count", "horizon"):
        values = [run.data.params[name] for run in runs]
        assert sorted(ui.compared(name)) == sorted(values)


def test_the_links_open_the_table_of_trials_and_compare_them_with_recovered_ones(
    said: list[str], server: str, ui: MlflowUi
) -> None:
    links = dict(line.split(maxsplit=1) for line in said[-3:])
    trials, compare = (links[name].replace(LOCAL_UI, server) for name in ("trials", "compare"))
    assert trials.startswith(server) and compare.startswith(server)
    ui.open_view(trials)
    shown = [*("d_model", "n_layers", "n_heads", "d_ff", "param_count")]
    shown += [*("best_val_loss", "skill", "Duration", "trial_state")]
    ui.wait_for_columns(shown)
    assert f"trials of {TOGETHER}_2M_h3_threshold_1pct" in ui.text()
    losses = [float(text) for text in ui.column("best_val_loss")]
    assert len(losses) == 2 and losses == sorted(losses)
    assert ui.column("trial_state") == ["COMPLETE", "COMPLETE"]

    ui.open(compare)
    ui.wait_for_text("Comparing 5 Runs from 1 Experiment")
    assert ui.compared("horizon") == ["3"] * 5
    assert ui.compared("grid_version") == ["3", "3", "1", "1", "1"]


def test_an_experiment_opens_on_its_runs_where_the_ui_shows_model_training(
    said: list[str], server: str, ui: MlflowUi
) -> None:
    (experiment,) = MlflowClient(server).search_experiments(filter_string=f"name = '{TOGETHER}'")
    assert experiment.tags[KIND_TAG] == MODEL_TRAINING
    ui.open(f"{server}/#/experiments/{experiment.experiment_id}?workflowType=machine_learning")
    ui.wait_for_text(f"{TOGETHER}_2M_h3_threshold_1pct")

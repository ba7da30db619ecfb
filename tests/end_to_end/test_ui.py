"""The comparison the whole project exists for, in the real UI."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.tracking.names import Tag
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


def test_old_and_new_trials_stand_side_by_side(
    tmp_path: Path, small_market: Path, server_store: str, ui: MlflowUi
) -> None:
    together = ("--experiment", "side by side")
    log = REPOSITORY / "tests" / "recovery" / "legacy" / "2M_no_heads.log"
    recovery = backfill(str(log), *together, cwd=tmp_path, MLFLOW_TRACKING_URI=server_store)
    assert recovery.returncode == 0, recovery.stderr
    study = project(
        *("study", "--budget", "2M", "--horizon", "5", "--data", str(small_market)),
        *("--n-trials", "1", "--max-epochs", "1", *together),
        cwd=tmp_path,
        MLFLOW_TRACKING_URI=server_store,
    )
    assert study.returncode == 0, study.stderr
    client = MlflowClient(server_store)
    (experiment,) = client.search_experiments(filter_string="name = 'side by side'")
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

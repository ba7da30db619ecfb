"""What the parent run of a recovered study shows."""

import csv
import io
from pathlib import Path

import mlflow.artifacts
import pytest
from mlflow import MlflowClient

from mlproject.tracking.names import NOTE_TAG, Tag
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs, run, trial_runs

pytestmark = pytest.mark.slow

PICTURES = {
    "optimization_history",
    "parallel_coordinate_architecture",
    "param_importances",
    "slice",
}


@pytest.mark.usefixtures("with_pictures")
def test_a_recovered_parent_has_the_summary_of_a_live_one(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backfill", LEGACY / "20M_micro_batch.log") == 0
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]
    trials = sorted(trial_runs(work_directory), key=lambda r: int(r.data.tags["trial_number"]))
    best = min(trials, key=lambda r: r.data.metrics["best_val_loss"])
    assert parent.data.metrics == best.data.metrics
    assert f"Best is trial {best.data.tags['trial_number']} with" in parent.data.tags[NOTE_TAG]
    client = MlflowClient()
    found = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert found == {"recovery", "trials.csv", "figures.html", "figures"}
    pictures = {item.path for item in client.list_artifacts(parent.info.run_id, "figures")}
    assert pictures == {f"figures/{name}.png" for name in PICTURES}  # no epochs in old logs
    table = mlflow.artifacts.load_text(f"{parent.info.artifact_uri}/trials.csv")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["d_model"] for row in rows] == [r.data.params["d_model"] for r in trials]
    # Where nothing is new, nothing is drawn again.
    monkeypatch.setattr("mlproject.analysis.summary.parent_run.summarise_study", None)
    assert run("backfill", LEGACY / "20M_micro_batch.log") == 0

"""``mlflow run -e audit``, ``supplement``, ``report`` and ``regenerate`` as a user types them."""

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking.names import ANALYSIS_TAG
from tests.end_to_end.processes import (
    MLFLOW_RUN,
    REPOSITORY,
    SCRIPTS,
    backfill,
    constants,
    mlflow_run,
    unforked,
)

LOG = REPOSITORY / "tests" / "recovery" / "legacy" / "2M_no_heads.log"
TABLES = [f"best_architectures.{kind}" for kind in ("csv", "md", "tex")]
FEW_BASELINES = {
    "mlproject.analysis.baselines.of_windows:MAX_TREES": 5,
    "mlproject.analysis.baselines.of_windows:INVERSE_PENALTIES": (1e-6, 1e-5),
}
OF_STUDY = ("--experiment-name", "phase6a", "-P", "budget=2M", "-P", "horizon=1")


def test_what_is_missing_is_found_and_planned(tmp_path: Path) -> None:
    assert backfill(str(LOG), cwd=tmp_path).returncode == 0
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")

    audit = unforked(*MLFLOW_RUN, "-e", "audit", "-P", "experiment=phase6a", cwd=tmp_path)
    assert audit.returncode == 1
    assert "n_layers 64 was never tested" in audit.stdout
    assert "Traceback" not in audit.stderr

    plan = mlflow_run("-e", "supplement", *OF_STUDY, "-P", "dry_run=true", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "phase6a_2M_h1_threshold_1pct: 5 trials" in plan.stdout

    report = mlflow_run("-e", "report", "-P", "experiment=phase6a", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert "phase6a: 2 studies, 98 trials; left out: 2 diverged" in report.stdout

    missing = mlflow_run("-e", "supplement", *OF_STUDY[:-1], "horizon=5", cwd=tmp_path)
    assert missing.returncode != 0
    assert "error: no study 'phase6a_2M_h5_threshold_1pct'" in missing.stderr
    assert not (tmp_path / "optuna.db").exists()

    kept = {name: _artifacts(client, name) for name in ("audit", "report", "supplement plan")}
    assert kept == {
        "audit": ["audit.json", "audit.md", "audit.txt"],
        "report": [*TABLES, "figures", "report.html"],
        "supplement plan": ["supplement.txt"],
    }


def test_the_scripts_are_written_where_asked_and_kept_with_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    written = mlflow_run("-e", "regenerate", "-P", f"output_dir={folder}", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    names = sorted(path.name for path in SCRIPTS.glob("*.py"))
    assert sorted(path.name for path in folder.iterdir()) == names
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert _artifacts(client, "study scripts") == ["scripts"]


def _artifacts(client: MlflowClient, analysis: str) -> list[str]:
    """What the one run of an analysis holds; it lies in whichever experiment it was run in."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs: list[Run] = client.search_runs(experiments, f"tags.{ANALYSIS_TAG} = '{analysis}'")
    (run,) = runs
    return [item.path for item in client.list_artifacts(run.info.run_id)]


def test_a_study_is_evaluated(tmp_path: Path, small_market: Path) -> None:
    of_study = ("--experiment-name", "phase6a", "-P", "budget=100k", "-P", "horizon=3")
    where = ("-P", f"data={small_market}", "-P", "device=cpu")
    trials = ("-P", "n_trials=1", "-P", "max_epochs=1")
    assert mlflow_run(*of_study, *where, *trials, cwd=tmp_path).returncode == 0
    evaluate = ("-e", "evaluate", *of_study, *where, "-P", "seeds=1")
    done = mlflow_run(*evaluate, cwd=tmp_path, **constants(FEW_BASELINES))
    assert done.returncode == 0, done.stderr
    assert "models:/phase6a_100k_h3_threshold_1pct/1" in done.stdout
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    tables = ["predictions.csv", "scores.csv", "train_losses.csv"]
    assert _artifacts(client, "evaluation") == ["evaluation.md", "figures", *tables]

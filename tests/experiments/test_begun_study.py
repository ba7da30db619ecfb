"""A study that an earlier version of the program began, and that was killed in its eighth trial.

``begun_study/`` holds what it left behind (both stores as SQL, the trial log) and, in
``resumed.json``, what the same earlier version made of it when it was launched again.
"""

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient

from mlproject.analysis.claims.baselines import DAY_BASELINES
from mlproject.data.bars import load_bars
from mlproject.tracking.names import (
    EPOCH_METRICS,
    IDENTITY_ATTR,
    ClaimMetric,
    Metric,
    Param,
    Tag,
    of_difference,
    validation_loss_of,
)

pytestmark = pytest.mark.slow

BEGUN = Path(__file__).parent / "begun_study"
STUDY = "phase6a_200k_h3_threshold_1pct"
RESUME = ("study", "--budget", "200k", "--horizon", "3", "--max-epochs", "3", "--max-steps", "2")
NEW = {Param.SEARCH_SPACE: "1"}
"""What is logged today and was not then."""
NEW_OF_THE_STUDY = {
    **NEW,
    "source_shape": load_bars("sp500").source_shape,
    "n_markets": "1",
    "validation": "earliest",
}
NEW_TAGS = ("verdict_prior", "verdict_baselines", "time_left")
NEW_METRICS = [
    "eta_seconds",
    "eta_at_most_seconds",
    *ClaimMetric,
    *(
        of_difference(metric, what)
        for metric in (ClaimMetric.LOSS_DIFFERENCE_PRIOR, ClaimMetric.LOSS_DIFFERENCE_BASELINES)
        for what in ("low", "high", "p_value")
    ),
    *(validation_loss_of(baseline.name) for baseline in DAY_BASELINES),
]
NEW_ARTIFACTS = {"parent": ["markets.csv"]}
DIED = "7"

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def begun(work_directory: Path) -> Path:
    """A working directory as the earlier version left it."""
    for store in ("mlflow", "optuna"):
        text = gzip.decompress((BEGUN / f"{store}.sql.gz").read_bytes()).decode()
        (work_directory / f"{store}.db").unlink(missing_ok=True)
        with closing(sqlite3.connect(work_directory / f"{store}.db")) as connection:
            connection.executescript(text.replace("{directory}", str(work_directory)))
    (work_directory / "trial_logs").mkdir()
    log = work_directory / "trial_logs" / f"{STUDY}.log"
    log.write_bytes((BEGUN / "trial_log.txt").read_bytes())
    return work_directory


def _runs() -> dict[str, dict[str, Any]]:
    """What MLflow shows of the parent and of each trial, by number."""
    client = MlflowClient()
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    shown = {}
    for run in client.search_runs([experiment.experiment_id]):
        number = run.data.tags.get(Tag.TRIAL_NUMBER, "parent")
        assert number not in shown
        shown[number] = {
            "status": run.info.status,
            "run_name": run.info.run_name,
            "params": run.data.params,
            "metrics": sorted(run.data.metrics),
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            "curves": {
                metric.value: sorted(
                    [point.step, point.value]
                    for point in client.get_metric_history(run.info.run_id, metric)
                )
                for metric in (EPOCH_METRICS if number != "parent" else ())
            },
            "artifacts": sorted(each.path for each in client.list_artifacts(run.info.run_id)),
        }
    return shown


@pytest.mark.usefixtures("with_pictures")
def test_it_goes_on_with_every_name_the_same(begun: Path, command: Command) -> None:
    code, _, error = command(*RESUME, "--n-trials", "9")
    assert code == 0, error
    then, now = json.loads((BEGUN / "resumed.json").read_text()), _runs()
    assert now.keys() == then.keys()
    for number, run in then.items():
        gained = {k: v for k, v in now[number]["params"].items() if k not in run["params"]}
        written_today = {"parent": NEW_OF_THE_STUDY, DIED: NEW, "8": NEW, "9": NEW}
        assert gained == written_today.get(number, {})
        known = {k: v for k, v in run["params"].items() if v is not None}
        assert known.items() <= now[number]["params"].items()
        artifacts = sorted(run["artifacts"] + NEW_ARTIFACTS.get(number, []))
        assert now[number]["artifacts"] == artifacts
        tags = now[number]["tags"]
        assert {k: v for k, v in tags.items() if k not in NEW_TAGS} == run["tags"]
        for field in ("status", "run_name"):
            assert now[number][field] == run[field], (number, field)
        curves, metrics = dict(run["curves"]), list(run["metrics"])
        if number == DIED:
            # Its training losses and its last epoch died with its process: then they went into
            # the trial log alone, or into it first.
            del curves[Metric.TRAIN_LOSS]
            curves[Metric.VAL_LOSS] = curves[Metric.VAL_LOSS][:1]
            metrics.remove(Metric.TRAIN_LOSS)
        gained = NEW_METRICS if number == "parent" else []
        assert now[number]["metrics"] == sorted([*metrics, *gained]), number
        for name, curve in curves.items():
            found = dict(now[number]["curves"][name])
            assert found == pytest.approx(dict(curve), rel=0.01)


def test_its_log_goes_on_line_by_line(begun: Path, command: Command) -> None:
    assert command(*RESUME, "--n-trials", "9")[0] == 0
    log = (begun / "trial_logs" / f"{STUDY}.log").read_text()
    before = (BEGUN / "trial_log.txt").read_text()
    assert log.startswith(before)
    new = [line.partition("] ")[2] for line in log[len(before) :].splitlines()]
    (retry,) = [line for line in new if line.startswith("Trial 8: ")]
    (first,) = [line for line in before.splitlines() if "] Trial 7: " in line]
    old_fields, new_fields = (
        [field.partition("=")[0] for field in line.partition(": ")[2].split(", ")]
        for line in (first, retry)
    )
    added = [Param.SEARCH_SPACE, Tag.RETRY_OF]
    assert [field for field in new_fields if field not in added] == old_fields


def test_what_it_began_with_is_what_it_is(begun: Path, command: Command) -> None:
    code, _, error = command(*RESUME, "--n-trials", "9", "--grid-version", "2")
    assert code == 2
    assert "(grid_version is 3 there and 2 here)" in error
    assert command(*RESUME, "--n-trials", "9", "--search-space", "1")[0] == 0
    study = optuna.load_study(study_name=STUDY, storage=f"sqlite:///{begun / 'optuna.db'}")
    assert "search_space" not in study.user_attrs[IDENTITY_ATTR]  # as its checkpoints have it
    assert len(study.trials) == 10

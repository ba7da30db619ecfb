"""The report over a real store: old logs of two budgets, a live study, and somebody else's runs."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from mlproject.analysis.report.best import best_architectures
from mlproject.analysis.report.figure import ReportFigure
from mlproject.analysis.report.scaling_figure import scaling_figure
from mlproject.analysis.report.trials import ReportTrials, report_trials
from mlproject.tracking.names import (
    ANALYSIS_TAG,
    NOTE_TAG,
    RECOMMENDED_TRIAL_TAG,
    Param,
    RecommendedMetric,
    Tag,
)
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import connect, connect_to_read, open_experiment
from mlproject.tracking.study_run import open_recovered_study_run
from mlproject.tracking.tracked_studies import read_studies
from tests.conftest import LEGACY

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

PICTURES = [
    "depth_against_width.png",
    "heads_and_feed_forward.png",
    "loss_against_parameters.png",
    "parallel_coordinates.png",
]
PNG = b"\x89PNG"


@pytest.fixture
def mixed_store(legacy_store: Path, command: Command, small_market: Path) -> Path:
    """The old logs, a live study of two trials, and a run of another shape."""
    study = ("study", "--budget", "100k", "--horizon", "3", "--n-trials", "2", "--max-epochs", "1")
    assert command(*study, "--device", "cpu", "--data", str(small_market))[0] == 0
    client = MlflowClient()
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    client.log_param(client.create_run(experiment.experiment_id).info.run_id, "colour", "red")
    return legacy_store


def _report_run() -> tuple[str, str]:
    """Id and note of the one report run."""
    client = MlflowClient()
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.{ANALYSIS_TAG} = 'report'")
    assert run.info.status == "FINISHED"
    return run.info.run_id, run.data.tags[NOTE_TAG]


def _scaling(trials: ReportTrials) -> ReportFigure:
    best = best_architectures(trials.frame, trials.recommended)
    return scaling_figure(trials.frame, trials.stopped, best)


def test_page_tables_and_pictures_are_artifacts_of_a_run(
    mixed_store: Path, command: Command
) -> None:
    code, output, _ = command("report", "--experiment", "phase6a", "--output-dir", "out/new")
    assert code == 0
    run_id, note = _report_run()
    assert "phase6a: 5 studies, " in note and "1 runs of other shapes" in note
    assert note in output and "and in out/new" in output
    client = MlflowClient()
    tables = [f"best_architectures.{kind}" for kind in ("csv", "md", "tex")]
    assert [a.path for a in client.list_artifacts(run_id)] == [*tables, "figures", "report.html"]
    pictures = client.list_artifacts(run_id, "figures")
    assert [Path(a.path).name for a in pictures] == PICTURES
    for name in PICTURES:
        assert (mixed_store / "out" / "new" / "figures" / name).read_bytes().startswith(PNG)
    page = mlflow.artifacts.load_text(f"runs:/{run_id}/report.html")
    assert page.count("plotly.js v") == 1
    assert len(page) < 6_000_000
    assert len(re.findall("<h2>", page)) == 5
    # No study was changed, and the report is no study: a second one says the same.
    assert command("report", "--experiment", "phase6a")[1].splitlines()[0] == note


def test_the_best_are_those_of_the_summary_files(mixed_store: Path, command: Command) -> None:
    """The old program's own summaries say which trial was best."""
    assert command("report", "--experiment", "phase6a", "--output-dir", "out")[0] == 0
    best = pd.read_csv(mixed_store / "out" / "best_architectures.csv").set_index("study")
    for path in LEGACY.glob("*.truth/*.json"):
        summary = json.loads(path.read_text())
        right = min(summary["trials"], key=lambda trial: trial["value"])
        found = best.loc[summary["experiment"]]
        assert found["loss"] == pytest.approx(right["value"], rel=1e-12)
        assert found["chosen_by"] == "lowest loss"
        for name in ("d_model", "n_layers", "n_heads", "param_count"):
            assert found[name] == right[name]
    live = best.loc["phase6a_100k_h3_threshold_1pct"]
    assert live["origin"] == "live"
    assert live["skill"] == pytest.approx(1 - live["loss"] / live["prior_loss"])


def test_what_a_study_recommends_is_read_from_its_run(mixed_store: Path, command: Command) -> None:
    assert command("report", "--experiment", "phase6a", "--output-dir", "out")[0] == 0
    best = pd.read_csv(mixed_store / "out" / "best_architectures.csv").set_index("study")
    name = "phase6a_100k_h3_threshold_1pct"
    found = best.loc[name]
    (study,) = (
        each for each in read_studies(connect_to_read("phase6a")).studies if each.study_name == name
    )
    assert found["chosen_by"] == "estimate"
    assert str(found["number"]) == study.tags[RECOMMENDED_TRIAL_TAG]
    for column, metric in {
        "expected_loss": RecommendedMetric.VAL_LOSS,
        "expected_low": RecommendedMetric.LOW,
        "expected_high": RecommendedMetric.HIGH,
        "probability_best": RecommendedMetric.PROBABILITY_BEST,
        "among_best": RecommendedMetric.AMONG_BEST,
    }.items():
        assert found[column] == study.metrics[metric]
    assert found["tried"] == 2
    page = (mixed_store / "out" / "report.html").read_text()
    assert "recommended, with 90% interval" in page
    assert "100k, 1 % within 3 days: cells with an architecture that by the study&#x27;s" in page
    assert "By the means of trials, since the study&#x27;s run holds no estimate." in page


def test_diverged_trials_are_left_out_and_counted(legacy_store: Path) -> None:
    trials = report_trials(read_studies(connect_to_read("phase6a")))
    diverged = 0
    for path in LEGACY.glob("*.truth/*.json"):
        diverged += sum(t["value"] == 100.0 for t in json.loads(path.read_text())["trials"])
    assert trials.diverged == diverged > 0
    assert len(trials.frame) == 200 - diverged
    assert trials.frame["loss"].max() < 10


def test_without_a_prior_the_picture_says_so(legacy_store: Path) -> None:
    trials = report_trials(read_studies(connect_to_read("phase6a")))
    findings = _scaling(trials).findings
    assert [each.split(":")[0] for each in findings] == ["1 % within 1 day", "1 % within 3 days"]
    assert all("No run says the prior." in each for each in findings)


def test_two_sizes_make_no_claim_and_the_reader_is_told_so(legacy_store: Path) -> None:
    trials = report_trials(read_studies(connect_to_read("phase6a")))
    for each in _scaling(trials).findings:
        assert ": cannot be told: two sizes with 10 finished trials" in each


def test_a_third_size_makes_an_interval_that_the_picture_shows(legacy_store: Path) -> None:
    """The larger of two studies again, ten times as large and at the same losses."""
    trials = report_trials(read_studies(connect_to_read("phase6a")))
    larger = trials.frame[trials.frame["budget"] == "20M"].assign(
        study=lambda frame: frame["study"] + "_larger",
        budget="200M",
        budget_parameters=200_000_000,
        param_count=lambda frame: 10 * frame["param_count"],
    )
    assert len(larger) > 0
    frame = pd.concat([trials.frame, larger], ignore_index=True)
    figure = _scaling(dataclasses.replace(trials, frame=frame))
    assert all("loss per tenfold parameters (" in each for each in figure.findings)
    assert all("with two more of every size, of other seeds" in each for each in figure.findings)
    shown = {trace.name for trace in figure.interactive.data}
    assert {"power law", "95 % interval of the slope", "luckiest of 2M"} <= shown


def test_pruned_trials_are_counted_where_sizes_are_compared(legacy_store: Path) -> None:
    trials = report_trials(read_studies(connect_to_read("phase6a")))
    assert len(trials.stopped) >= trials.diverged > 0
    assert (trials.stopped["loss"] > 10).any()
    assert set(trials.stopped["study"]) <= set(trials.frame["study"])


def test_a_single_trial_is_reported_too(
    work_directory: Path, command: Command, small_market: Path
) -> None:
    study = ("study", "--budget", "100k", "--horizon", "1", "--n-trials", "1", "--max-epochs", "1")
    assert command(*study, "--device", "cpu", "--data", str(small_market))[0] == 0
    assert command("report", "--output-dir", "out")[0] == 0
    page = Path("out/report.html").read_text()
    assert "too few trials to tell" in page
    assert "cannot be told: no size with 10 finished trials; a claim takes 3 of them" in page
    assert "1 % within 1 day: one cell only, nothing to compare." in page
    assert len(Path("out/best_architectures.md").read_text().splitlines()) == 3


def test_an_experiment_with_nothing_to_report_is_one_line(
    work_directory: Path, command: Command
) -> None:
    code, _, line = command("report")
    assert code == 2
    assert "no experiment 'phase6a'" in line
    MlflowClient().create_experiment("empty")
    code, _, line = command("report", "--experiment", "empty")
    assert code == 2
    assert "experiment 'empty' holds 0 studies with 0 trials, none of them complete" in line
    experiment = MlflowClient().get_experiment_by_name("empty")
    assert experiment is not None
    assert MlflowClient().search_runs([experiment.experiment_id]) == []


def test_a_folder_that_cannot_be_written_is_one_line(mixed_store: Path, command: Command) -> None:
    (mixed_store / "file").write_text("")
    code, _, line = command("report", "--experiment", "phase6a", "--output-dir", "file/report")
    assert code == 2
    assert "cannot write file/report" in line


def test_foreign_values_are_text_on_the_page(legacy_store: Path, command: Command) -> None:
    """A run of the right shape with params from elsewhere cannot put a script on the page."""
    store = open_experiment(connect("phase6a"))
    study = read_studies(connect_to_read("phase6a")).studies[0]
    sound = [each.trial for each in study.trials if not each.trial.has_diverged][:6]
    hostile = "</script><script>alert(1)</script>"
    # Pictures are drawn of tasks, so those of a study whose task is none are left out.
    tasks = ["threshold_1pct", hostile, r"threshold_$\frac{pct", f"threshold_{'9' * 5000}pct"]
    for number, task in enumerate(tasks):
        name = f"phase6a_foreign_{number}"
        parent = open_recovered_study_run(store, name, 1_763_000_000_000)
        trials = [
            dataclasses.replace(
                trial,
                params={**trial.params, Param.TASK: task},
                tags={Tag.STUDY_NAME.value: name, Tag.ORIGIN.value: hostile},
            )
            for trial in sound
        ]
        bring_up_to_date(store, parent.info.run_id, trials)
    code, out, _ = command("report", "--experiment", "phase6a", "--output-dir", "out")
    assert code == 0
    assert "18 without a known loss or architecture" in out
    page = Path("out/report.html").read_text()
    assert "alert(1)" in page
    assert "<script>alert(1)" not in page

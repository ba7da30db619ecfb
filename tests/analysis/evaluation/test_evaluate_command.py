"""`mlproject evaluate` on real stores: what it keeps, what it must not look at, what it refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.analysis.baselines import of_windows
from mlproject.analysis.baselines.baseline import TITLES
from mlproject.analysis.evaluation import final_models
from mlproject.analysis.evaluation.baselines import fit_baselines
from mlproject.analysis.evaluation.results import Verdict
from mlproject.analysis.report.trials import report_trials
from mlproject.cli import main as cli
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.splits import split_ends
from mlproject.data.windows import build_windows
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import ANALYSIS_TAG, NOTE_TAG, Param, Tag, TestMetric
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import connect, connect_to_read, open_experiment
from mlproject.tracking.study_run import open_recovered_study_run
from mlproject.tracking.tracked_studies import read_studies
from mlproject.training.loop import TrainingDiverged
from tests.analysis.audit.conftest import STARTED_MS, trial_of

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

STUDY = "phase6a_100k_h3_threshold_1pct"
WHICH = ("--budget", "100k", "--horizon", "3", "--device", "cpu")
SEEDS = 2
PNG = b"\x89PNG"
PICTURES = ["calibration", "confusion_matrix", "loss_difference", "precision_recall", "roc"]
FIRST_TEST_ROW = split_ends(800, horizon_days=3).test[0]


@pytest.fixture(scope="module")
def other_future(small_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small market with other prices in its test span and nowhere else."""
    frame = pd.read_csv(small_market)
    rng = np.random.default_rng(0)
    late = frame.index >= FIRST_TEST_ROW
    course = np.exp(np.cumsum(rng.normal(0.002, 0.01, late.sum())))
    frame.loc[late, ["open", "high", "low", "close"]] *= course[:, None]
    path = tmp_path_factory.mktemp("future") / "small.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def evaluated(
    small_market: Path,
    other_future: Path,
    mlflow_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """Directories in which a study was run and evaluated: the market's, and one's with a future of
    its own."""
    directories = {}
    for name, market in (("market", small_market), ("other future", other_future)):
        directory = directories[name] = tmp_path_factory.mktemp("evaluated")
        (directory / "mlflow.db").write_bytes(mlflow_template.read_bytes())
        with pytest.MonkeyPatch.context() as patch:
            _work_in(directory, patch)
            _choose_among_few(patch)
            of_study = ("--n-trials", "2", "--max-epochs", "3", "--data", str(market))
            cli.cli.main(["study", *WHICH, *of_study], standalone_mode=False)
            of_evaluation = ("--seeds", str(SEEDS), "--data", str(market))
            cli.cli.main(["evaluate", *WHICH, *of_evaluation], standalone_mode=False)
    return directories


@pytest.fixture
def market(evaluated: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first of these directories, worked in."""
    _work_in(evaluated["market"], monkeypatch)
    return evaluated["market"]


def _choose_among_few(patch: pytest.MonkeyPatch) -> None:
    """Baselines that are fitted in a moment."""
    patch.setattr(of_windows, "MAX_TREES", 5)
    patch.setattr(of_windows, "INVERSE_PENALTIES", (1e-6, 1e-5))


def _work_in(directory: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(directory)
    mlflow.set_tracking_uri(None)  # the environment decides
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory / 'mlflow.db'}")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        patch.delenv(name, raising=False)


def _runs(directory: Path) -> tuple[MlflowClient, list[Run]]:
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.{ANALYSIS_TAG} = 'evaluation'")
    return client, list(found)


def _table(directory: Path, name: str) -> pd.DataFrame:
    client, (run,) = _runs(directory)
    return pd.read_csv(client.download_artifacts(run.info.run_id, name))


def _model_folder(directory: Path) -> Path:
    client, _ = _runs(directory)
    return Path(client.get_model_version(STUDY, "1").source)


def test_scores_tables_and_pictures_are_kept_with_a_run_of_its_own(market: Path) -> None:
    client, (run,) = _runs(market)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"evaluation of {STUDY}"
    files = [a.path for a in client.list_artifacts(run.info.run_id)]
    tables = ["predictions.csv", "scores.csv", "train_losses.csv"]
    assert files == ["evaluation.md", "figures", *tables]
    for name in PICTURES:
        picture = client.download_artifacts(run.info.run_id, f"figures/{name}.png")
        assert Path(picture).read_bytes().startswith(PNG)
    scores = _table(market, "scores.csv")
    networks = scores[scores["predictor"] == "network"]
    for metric in TestMetric:
        assert run.data.metrics[metric] == pytest.approx(networks[metric].mean())
        assert run.data.metrics[f"{metric}_std"] == pytest.approx(networks[metric].std(ddof=0))
        for name in TITLES:
            right = scores.set_index("predictor").loc[name, metric]
            assert run.data.metrics[f"{name}.{metric}"] == pytest.approx(right)
    note = run.data.tags[NOTE_TAG]
    for name, title in TITLES.items():
        difference = run.data.metrics[f"loss_minus.{name}"]
        theirs = run.data.metrics[f"{name}.test_loss"]
        assert difference == pytest.approx(run.data.metrics["test_loss"] - theirs, abs=1e-9)
        (said,) = (
            line
            for line in note.splitlines()
            if line.startswith("- ") and title.lower() in line.lower()
        )
        assert said.startswith("- The network") is (difference < 0)
    assert len(Verdict) == 4


def test_the_baselines_are_scored_on_the_same_windows(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = _table(market, "predictions.csv")
    columns = ["date", "label", *(f"network_{number}" for number in range(1, SEEDS + 1))]
    assert list(predictions.columns) == [*columns, *TITLES]
    bars = pd.read_csv(_market_of(market))
    test = split_ends(len(bars), horizon_days=3).test
    assert predictions["date"].tolist() == bars["date"].iloc[list(test)].tolist()
    assert predictions.notna().all().all()
    close = bars["close"].to_numpy()
    rises = [close[t + 1 : t + 4].max() >= 1.01 * close[t] for t in test]
    assert predictions["label"].tolist() == [int(rise) for rise in rises]
    assert predictions["network_1"].ne(predictions["network_2"]).any()
    # Fitted and asked anew, window by window.
    _choose_among_few(monkeypatch)
    markets = Markets.of(load_bars(_market_of(market)))
    windows = partial(build_windows, markets, horizon_days=3, task=parse_task("1pct"))
    asked = windows(final=True)
    fitted = fit_baselines(markets, windows(), windows(final=True, with_test=False))
    for baseline in fitted:
        again = baseline.predict(markets, asked, asked.test)
        np.testing.assert_allclose(predictions[baseline.name], again, atol=1e-6)


def _market_of(directory: Path) -> str:
    client, (run,) = _runs(directory)
    (inputs,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    return str(inputs.dataset.source)


def test_other_test_days_change_no_training_and_no_baseline(evaluated: dict[str, Path]) -> None:
    weights, losses, priors, settings = [], [], [], []
    for directory in evaluated.values():
        folder = _model_folder(directory)
        (file,) = folder.rglob("weights.pt")
        weights.append(torch.load(file, weights_only=True))
        losses.append(_table(directory, "train_losses.csv"))
        priors.append(_table(directory, "predictions.csv")["prior"].iloc[0])
        note = _runs(directory)[1][0].data.tags[NOTE_TAG]
        settings.append([line for line in note.splitlines() if line.startswith("Baselines")])
    one, other = weights
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    pd.testing.assert_frame_equal(losses[0], losses[1])
    assert priors[0] == priors[1]
    assert settings[0] == settings[1] != []
    labels = [_table(directory, "predictions.csv")["label"] for directory in evaluated.values()]
    assert labels[0].ne(labels[1]).any()


def test_the_registered_model_gives_the_evaluations_own_probabilities(market: Path) -> None:
    model = mlflow.pyfunc.load_model(f"models:/{STUDY}/1")
    own = _table(market, "predictions.csv").set_index("date")["network_1"]
    bars = pd.read_csv(_market_of(market))
    answer = model.predict(bars).set_index("date")["probability"]
    np.testing.assert_allclose(answer[own.index], own, atol=1e-6)
    assert answer.index[-1] == bars["date"].iloc[-1]
    assert model.metadata.signature is not None
    example = model.input_example
    assert 0 < model.predict(example)["probability"].iloc[-1] < 1
    assert example["date"].iloc[-1] == bars["date"].iloc[FIRST_TEST_ROW - 1]
    with pytest.raises(mlflow.MlflowException, match="100 days are too few"):
        model.predict(bars.head(100))


def test_the_model_is_linked_to_its_run_and_brings_no_pickled_object(market: Path) -> None:
    client, (run,) = _runs(market)
    version = client.get_model_version(STUDY, "1")
    assert version.run_id == run.info.run_id
    assert version.description == run.data.tags[NOTE_TAG]
    (output,) = client.get_run(run.info.run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert logged.status == "READY"
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": STUDY, "version": 1}]
    suffixes = {path.suffix for path in _model_folder(market).rglob("*") if path.is_file()}
    assert not suffixes & {".pkl", ".pickle", ".pyc", ".joblib"}
    pinned = (_model_folder(market) / "requirements.txt").read_text()
    assert "torch==" in pinned and "+cpu" not in pinned


def test_neither_audit_nor_report_takes_it_for_a_study_or_a_trial(market: Path) -> None:
    experiment = read_studies(connect_to_read("phase6a"))
    assert experiment.foreign_runs == 0
    (study,) = experiment.studies
    assert study.study_name == STUDY
    assert [trial.trial.trial_number for trial in study.trials] == [0, 1]
    assert len(report_trials(experiment).frame) == 2


def test_a_recovered_study_is_evaluated_and_what_was_assumed_is_said(
    work_directory: Path,
    command: Command,
    small_market: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _choose_among_few(monkeypatch)
    grid = architecture_grid(parse_budget("100k"), 25)
    params = {Param.EPOCHS: 2, Param.WEIGHT_DECAY: None, Param.DROPOUT: None}
    trial = trial_of(grid.architectures[0], grid, 5, params=params)
    store = open_experiment(connect("phase6a"))
    parent = open_recovered_study_run(store, STUDY, STARTED_MS)
    tags = {Tag.STUDY_NAME.value: STUDY, Tag.ORIGIN.value: "log"}
    bring_up_to_date(store, parent.info.run_id, [replace(trial, tags=tags)])

    evaluate = ("evaluate", *WHICH, "--seeds", "1", "--data", str(small_market))
    code, output, _ = command(*evaluate)
    assert code == 0
    assert "trial 5: repeated to find its best epoch" in output
    assert f"{STUDY}, recovered trial 5 (" in output
    _, (run,) = _runs(work_directory)
    note = run.data.tags[NOTE_TAG]
    assert "assumed: weight_decay 0.0001, dropout 0.2." in note
    assert "Nothing says which bars" in note
    assert "evaluated" not in note
    assert run.data.metrics["trained_epochs"] in (1, 2)

    # A second look is counted, and a second model is a second version.
    assert command(*evaluate)[1].splitlines()[-1].endswith(f"models:/{STUDY}/2")
    _, runs = _runs(work_directory)
    assert "has been evaluated 1 time before" in runs[0].data.tags[NOTE_TAG]


def test_what_cannot_be_evaluated_is_one_line_and_leaves_no_run(
    work_directory: Path, command: Command, small_market: Path
) -> None:
    code, _, line = command("evaluate", *WHICH)
    assert code == 2
    assert "no experiment 'phase6a'" in line
    store = open_experiment(connect("phase6a"))
    data = ("--data", str(small_market))
    code, _, line = command("evaluate", *WHICH, *data)
    assert code == 2
    assert f"no study '{STUDY}' in experiment 'phase6a': there is no study at all" in line
    assert "before you evaluate it" in line
    open_recovered_study_run(store, STUDY, STARTED_MS)
    code, _, line = command("evaluate", *WHICH, *data)
    assert code == 2
    assert f"study {STUDY} has 0 trials, 0 of them complete" in line
    for wrong, said in {
        ("--budget", "huge"): "unknown budget 'huge'",
        ("--horizon", "0"): "horizon '0'",
        ("--seeds", "0"): "--seeds",
        ("--data", "nowhere.csv"): "nowhere.csv: there is no such file",
        ("--device", "abacus"): "device 'abacus' cannot be used here",
    }.items():
        code, _, line = command("evaluate", *WHICH, *data, *wrong)
        assert code == 2
        assert said in line
    assert _runs(work_directory)[1] == []


def test_other_bars_than_the_studys_are_refused(
    market: Path, other_future: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work_in(market, monkeypatch)
    code, _, line = command("evaluate", *WHICH, "--data", str(other_future))
    assert code == 2
    assert "what is its test span here may have been trained on there" in line
    assert len(_runs(market)[1]) == 1


def test_an_evaluation_that_fails_leaves_no_run_open(
    market: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work_in(market, monkeypatch)

    def diverge(*_arguments: object, **_more: object) -> None:
        raise TrainingDiverged("the training diverged in epoch 1")

    monkeypatch.setattr(final_models, "train_final", diverge)
    code, _, line = command("evaluate", *WHICH, "--data", _market_of(market))
    assert code == 1
    assert line == "error: the training diverged in epoch 1"
    client, runs = _runs(market)
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    client.delete_run(next(run.info.run_id for run in runs if run.info.status == "FAILED"))

"""Whole small studies against real SQLite and real MLflow, in this process."""

import csv
import io
import logging
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import mlflow.artifacts
import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from sklearn.metrics import roc_auc_score

from mlproject.analysis.summary import parent_run as summary
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import build_windows
from mlproject.experiments import objective
from mlproject.experiments import study as study_module
from mlproject.experiments.storage import StudyOccupied
from mlproject.experiments.study import StudyOutcome, run_study
from mlproject.search.recommendation import rank_architectures
from mlproject.search.remaining_trials import StudyFailing
from mlproject.tracking.names import (
    LOGITS_ATTR,
    NOTE_TAG,
    RECOMMENDED_TRIAL_TAG,
    VALIDATION_WINDOWS_FILE,
    VALIDATION_WINDOWS_TAG,
    Metric,
    Param,
    Tag,
)
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.plan import OptimiserName, Precision
from mlproject.training.result import StopReason, TrainingResult
from mlproject.training.train import train
from tests.conftest import MakeSettings

pytestmark = pytest.mark.slow

RunSmallStudy = Callable[..., StudyOutcome]


@pytest.fixture
def run_small_study(
    work_directory: Path, small_market: Path, make_settings: MakeSettings
) -> RunSmallStudy:
    def run(*, data: Path = small_market, **changes: Any) -> StudyOutcome:
        settings = make_settings("100k", **{"n_trials": 2, "max_epochs": 2, **changes})
        return run_study(settings, data=str(data), device="cpu")

    return run


@pytest.fixture
def client(work_directory: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{work_directory / 'mlflow.db'}")


def _runs(client: MlflowClient) -> tuple[Run, list[Run]]:
    """The parent and the trials in order."""
    (experiment,) = [e for e in client.search_experiments() if e.name == "phase6a"]
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    (parent,) = [run for run in runs if run not in trials]
    return parent, sorted(trials, key=lambda run: int(run.data.tags[Tag.TRIAL_NUMBER]))


def _study(work_directory: Path) -> optuna.Study:
    (name,) = optuna.get_all_study_names(f"sqlite:///{work_directory / 'optuna.db'}")
    return optuna.load_study(study_name=name, storage=f"sqlite:///{work_directory / 'optuna.db'}")


def test_every_trial_is_a_nested_run_with_every_name(
    run_small_study: RunSmallStudy, client: MlflowClient, work_directory: Path
) -> None:
    outcome = run_small_study()
    parent, trials = _runs(client)
    assert outcome.parent_run_id == parent.info.run_id
    assert parent.info.run_name == "phase6a_100k_h3_threshold_1pct"
    assert len(trials) == 2
    for number, (run, frozen) in enumerate(
        zip(trials, _study(work_directory).trials, strict=False)
    ):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert set(run.data.params) == {*Param} - {Param.WARMUP_STEPS}
        # Its validation span is too short for the luck of the epoch to be told.
        assert set(run.data.metrics) == {*Metric} - {Metric.SKILL_ADJUSTED}
        assert run.data.metrics[Metric.BEST_VAL_LOSS] == frozen.value
        assert run.data.params[Param.LEARNING_RATE] == str(frozen.params["learning_rate"])
        assert run.data.tags[Tag.STUDY_NAME] == "phase6a_100k_h3_threshold_1pct"
        assert run.data.tags[Tag.TRIAL_NUMBER] == str(number)
        assert run.data.tags[Tag.TRIAL_STATE] == "COMPLETE"
        assert run.data.tags[Tag.ORIGIN] == "live"
        assert Tag.FORCED_EXTREME in run.data.tags
        assert run.info.status == "FINISHED"
        history = client.get_metric_history(run.info.run_id, Metric.VAL_LOSS)
        assert [(point.step, point.value) for point in history] == sorted(
            frozen.intermediate_values.items()
        )
        assert len(client.get_metric_history(run.info.run_id, Metric.TRAIN_LOSS)) == 2


@pytest.mark.usefixtures("with_pictures")
def test_the_parent_shows_the_study(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranking = Mock(side_effect=rank_architectures)
    monkeypatch.setattr(study_module, "rank_architectures", ranking)
    outcome = run_small_study()
    parent, trials = _runs(client)
    ranking.assert_called_once()  # for MLflow and for who called alike
    assert outcome.recommended is not None
    assert parent.data.tags[RECOMMENDED_TRIAL_TAG] == str(outcome.recommended.trial)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["budget"] == "100k"
    assert parent.data.params["sampler"].startswith("TPESampler(")
    assert parent.data.params["data"] == "small"
    best = min(run.data.metrics[Metric.BEST_VAL_LOSS] for run in trials)
    assert parent.data.metrics[Metric.BEST_VAL_LOSS] == best
    assert outcome.best_trial is not None
    assert outcome.best_trial.value == best
    note = parent.data.tags[NOTE_TAG]
    assert "2 of 2 trials finished" in note
    assert "viewStateShareKey=phase6a_100k_h3_threshold_1pct" in note
    assert "| budget | 100k |" in note
    assert parent.inputs is not None
    (dataset,) = [item.dataset for item in parent.inputs.dataset_inputs]
    assert dataset.name == "small"
    artifacts = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert {"trials.csv", "figures.html", "figures"} <= artifacts
    pictures = {item.path for item in client.list_artifacts(parent.info.run_id, "figures")}
    assert "figures/optimization_history.png" in pictures
    assert "figures/parallel_coordinate_architecture.png" in pictures
    table = mlflow.artifacts.load_text(f"{parent.info.artifact_uri}/trials.csv")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["d_model"] for row in rows] == [run.data.params["d_model"] for run in trials]


def _windows(client: MlflowClient, run: Run) -> dict[str, np.ndarray]:
    with np.load(client.download_artifacts(run.info.run_id, VALIDATION_WINDOWS_FILE)) as file:
        return dict(file)


def test_each_trial_keeps_its_validation_windows_and_gives_them_to_any_store(
    run_small_study: RunSmallStudy,
    client: MlflowClient,
    work_directory: Path,
    small_market: Path,
    mlflow_template: Path,
) -> None:
    run_small_study()
    data = build_windows(load_bars(str(small_market)), horizon_days=3, task=parse_task("1pct"))
    ends = data.validation.numpy()
    _, trials = _runs(client)
    found = [_windows(client, run) for run in trials]
    for run, file in zip(trials, found, strict=True):
        assert file.keys() == {"date", "market", "label", "probability", "loss"}
        np.testing.assert_array_equal(file["date"], data.dates[ends])
        np.testing.assert_array_equal(file["label"], data.labels.numpy()[ends])
        assert set(file["market"]) == {"small"}
        truth = np.where(file["label"] == 1, file["probability"], 1 - file["probability"])
        np.testing.assert_allclose(file["loss"], -np.log(truth), atol=1e-5)
        assert file["loss"].mean() == pytest.approx(run.data.metrics["best_val_loss"], abs=1e-6)
        auc = roc_auc_score(file["label"], file["probability"])
        assert run.data.metrics["val_auc.low"] < auc < run.data.metrics["val_auc.high"]
    # Another store is given the same, by a launch that trains nothing.
    shutil.copy(mlflow_template, work_directory / "mlflow.db")
    run_small_study()
    _, again = _runs(client)
    for run, file in zip(again, found, strict=True):
        for name, column in _windows(client, run).items():
            np.testing.assert_array_equal(column, file[name])


def test_windows_that_a_trial_does_not_have_are_never_made_up(
    run_small_study: RunSmallStudy, client: MlflowClient, work_directory: Path
) -> None:
    run_small_study(n_trials=1)
    with closing(sqlite3.connect(work_directory / "optuna.db")) as storage:
        for text in ('"AAAA"', '"no base64"', "7"):
            storage.execute(
                "UPDATE trial_user_attributes SET value_json = ? WHERE key = ?", (text, LOGITS_ATTR)
            )
            storage.commit()
            client.delete_run(_runs(client)[1][0].info.run_id)
            run_small_study(n_trials=1)
            (run,) = _runs(client)[1]
            assert run.info.status == "FINISHED"
            assert not client.list_artifacts(run.info.run_id)
            assert VALIDATION_WINDOWS_TAG not in run.data.tags


def test_launched_again_it_goes_on_under_the_same_parent(
    run_small_study: RunSmallStudy, client: MlflowClient
) -> None:
    run_small_study(n_trials=1)
    first, _ = _runs(client)
    run_small_study(n_trials=3)
    parent, trials = _runs(client)
    assert parent.info.run_id == first.info.run_id
    assert [run.data.tags[Tag.TRIAL_NUMBER] for run in trials] == ["0", "1", "2"]
    run_small_study(n_trials=3)
    assert len(_runs(client)[1]) == 3


def test_in_a_new_mlflow_store_the_study_appears_whole(
    run_small_study: RunSmallStudy,
    client: MlflowClient,
    work_directory: Path,
    mlflow_template: Path,
) -> None:
    run_small_study()
    before = _shown(client)
    (work_directory / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    run_small_study()
    assert _shown(client) == before


def _shown(client: MlflowClient) -> list[dict[str, Any]]:
    """What the runs of the trials show, but for their ids."""
    return [
        {
            "info": (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "metrics": run.data.metrics,
            "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
            "epochs": [
                (point.step, point.value)
                for name in (Metric.TRAIN_LOSS, Metric.VAL_LOSS)
                for point in client.get_metric_history(run.info.run_id, name)
            ],
        }
        for run in _runs(client)[1]
    ]


def test_a_trial_that_raises_an_error_is_recorded_and_the_study_goes_on(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([False, True, False, False])

    def sometimes_break(*args: Any, **more: Any) -> TrainingResult:
        if next(calls):
            raise RuntimeError("no luck at postgresql://me:s3cr3t@host/db\nand more")
        return train(*args, **more)

    monkeypatch.setattr(objective, "train", sometimes_break)
    outcome = run_small_study(n_trials=3)
    assert outcome.finished == 3
    _, trials = _runs(client)
    assert [run.info.status for run in trials] == ["FINISHED", "FAILED", "FINISHED", "FINISHED"]
    failed = trials[1]
    reason = "RuntimeError: no luck at postgresql://me:***@host/db"
    assert failed.data.tags[Tag.FAILURE_REASON] == reason
    assert failed.data.tags[Tag.TRIAL_STATE] == "FAIL"
    assert set(failed.data.params) == {*Param} - {Param.WARMUP_STEPS}


def test_when_every_trial_fails_the_study_stops_and_says_why(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def always_break(*_args: Any, **_more: Any) -> TrainingResult:
        raise RuntimeError("no device")

    monkeypatch.setattr(objective, "train", always_break)
    with pytest.raises(StudyFailing, match=r"5 trials in a row failed.*no device") as caught:
        run_small_study(n_trials=50)
    assert caught.value.exit_code == 1
    parent, trials = _runs(client)
    assert parent.info.status == "FAILED"
    assert [run.info.status for run in trials] == ["FAILED"] * 5


def test_a_diverged_trial_is_a_pruned_run_that_says_so(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*args: Any, **more: Any) -> TrainingResult:
        result = train(*args, **more)
        return replace(
            result,
            stop_reason=StopReason.DIVERGED,
            best_epoch=None,
            best_val_loss=None,
            best_scores=None,
        )

    monkeypatch.setattr(objective, "train", diverge)
    outcome = run_small_study(n_trials=1)
    assert outcome.best_trial is None
    _, (run,) = _runs(client)
    assert run.info.status == "KILLED"
    assert run.data.tags[Tag.TRIAL_STATE] == "PRUNED"
    assert run.data.tags[Tag.DIVERGED] == "true"
    assert Metric.BEST_VAL_LOSS not in run.data.metrics


def test_the_pruner_stops_a_trial_that_lags(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = iter(range(100))

    def losses_of_later_trials_are_worse(
        architecture: Any,
        data: Any,
        settings: Any,
        on_epoch: Callable[[EpochMetrics], bool],
        **_more: Any,
    ) -> TrainingResult:
        worse = next(number)
        for epoch in range(1, 31):
            if on_epoch(EpochMetrics(epoch=epoch, train_loss=1.0, val_loss=1.0 + worse)):
                break
        result = train(architecture, data, replace(settings, epochs=1), lambda _losses: False)
        stopped = epoch < 30
        return replace(
            result,
            stop_reason=StopReason.STOPPED if stopped else StopReason.ALL_EPOCHS,
            epochs_run=epoch,
            best_val_loss=1.0 + worse,
        )

    monkeypatch.setattr(objective, "train", losses_of_later_trials_are_worse)
    run_small_study(n_trials=7, max_epochs=30, search_space=1)
    _, trials = _runs(client)
    assert [run.info.status for run in trials] == ["FINISHED"] * 6 + ["KILLED"]
    pruned = trials[6]
    assert pruned.data.metrics[Metric.EPOCHS_RUN] == 10
    assert len(client.get_metric_history(pruned.info.run_id, Metric.VAL_LOSS)) == 10
    assert Tag.DIVERGED not in pruned.data.tags


@pytest.mark.usefixtures("with_pictures")
def test_a_crash_in_the_summary_loses_nothing(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_args: Any) -> None:
        raise ZeroDivisionError

    for part in ("_log_best", "_log_table", "_log_interactive", "_log_static"):
        monkeypatch.setattr(summary, part, crash)
    outcome = run_small_study()
    assert outcome.finished == 2
    parent, trials = _runs(client)
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in trials] == ["FINISHED", "FINISHED"]


def test_an_interrupted_trial_is_closed_and_tried_again(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: Any, **_more: Any) -> TrainingResult:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_small_study(n_trials=2)
    parent, (run,) = _runs(client)
    assert (parent.info.status, run.info.status) == ("KILLED", "FAILED")
    assert run.data.tags[Tag.FAILURE_REASON] == "interrupted"
    run_small_study(n_trials=8)
    parent, trials = _runs(client)
    assert parent.info.status == "FINISHED"
    (retry,) = [run for run in trials if run.data.tags.get(Tag.RETRY_OF) == "0"]
    assert retry.data.params == trials[0].data.params
    assert sum(run.info.status == "FINISHED" for run in trials) == 8


def test_an_interruption_between_two_lines_of_optunas_is_one(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it comes while Optuna keeps a result, Optuna's own clean-up fails on top."""
    keep = optuna.storages.RDBStorage.set_trial_state_values

    def interrupt(storage: Any, trial_id: int, state: Any, values: Any = None) -> bool:
        if state is optuna.trial.TrialState.COMPLETE:
            raise KeyboardInterrupt
        return keep(storage, trial_id, state, values)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_small_study(n_trials=2)
    parent, _ = _runs(client)
    assert parent.info.status == "KILLED"
    assert run_small_study(n_trials=2).finished == 2


def test_the_data_digest_is_part_of_the_study(
    run_small_study: RunSmallStudy, small_market: Path, tmp_path: Path
) -> None:
    outcome = run_small_study()
    assert outcome.finished == 2
    changed = load_bars(str(small_market)).frame.assign(volume=1.0)
    changed.to_csv(tmp_path / "small.csv", index=False)
    with pytest.raises(StudyOccupied, match=r"data_digest is .* there and .* here"):
        run_small_study(data=tmp_path / "small.csv", n_trials=5)


def test_a_killed_trial_goes_on_from_its_checkpoint_with_the_same_seed(
    run_small_study: RunSmallStudy, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run_small_study(experiment="undisturbed", n_trials=1, max_epochs=3)
    steps_done: dict[str, list[int]] = {}

    def killed_in_epoch_two(*args: Any, checkpoint: CheckpointFile, **more: Any) -> TrainingResult:
        steps: list[tuple[int, int]] = []

        def on_step(*step: int) -> None:
            steps.append(step)  # type: ignore[arg-type]
            if len(steps) > step[1]:
                raise KeyboardInterrupt

        saving = replace(checkpoint, save_every_seconds=0.0)
        return train(*args, checkpoint=saving, **more | {"on_step": on_step})

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", killed_in_epoch_two)
        with pytest.raises(KeyboardInterrupt):
            run_small_study(n_trials=1, max_epochs=3)
    [left] = Path("checkpoints").rglob("*.pt")
    assert left.name == "trial_0.pt"

    def counted(*args: Any, checkpoint: CheckpointFile, **more: Any) -> TrainingResult:
        steps = steps_done.setdefault(checkpoint.path.stem, [])

        def on_step(*step: int) -> None:
            steps.append(step[0])

        return train(*args, checkpoint=checkpoint, **more | {"on_step": on_step})

    monkeypatch.setattr(objective, "train", counted)
    run_small_study(n_trials=7, max_epochs=3)  # what waited in the queue comes first
    _, runs = _runs(client)
    [run] = [run for run in runs if run.data.tags.get(Tag.RETRY_OF) == "0"]
    assert undisturbed.best_trial is not None
    true = undisturbed.best_trial
    assert run.data.metrics[Metric.BEST_VAL_LOSS] == true.value
    assert float(run.data.params[Param.DROPOUT]) == true.params["dropout"]
    history = client.get_metric_history(run.info.run_id, Metric.VAL_LOSS)
    assert {point.step: point.value for point in history} == true.intermediate_values
    steps_an_epoch = max(steps_done["trial_0"])
    assert len(steps_done["trial_0"]) == 2 * steps_an_epoch  # the first one was not repeated
    assert not list(Path("checkpoints").rglob("*.pt"))


def test_the_memory_plan_is_said_and_kept(
    run_small_study: RunSmallStudy, client: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outcome = run_small_study(n_trials=1)
    said = caplog.text
    assert "memory plan: adamw, " in said
    kept = client.download_artifacts(outcome.parent_run_id, "memory_plan.txt")
    assert Path(kept).read_text() in said
    parent, _ = _runs(client)
    assert parent.data.params["plan.optimiser"] == "adamw"
    assert parent.data.params["plan.precision"] in said


def test_a_study_keeps_the_plan_it_began_with(
    run_small_study: RunSmallStudy, client: MlflowClient
) -> None:
    asked = {"optimiser": OptimiserName.ADAFACTOR, "precision": Precision.FP32}
    run_small_study(n_trials=1, **asked)
    run_small_study(n_trials=2)
    parent, trials = _runs(client)
    assert len(trials) == 2
    assert parent.data.params["optimiser"] == "adafactor"
    assert parent.data.params["precision"] == "fp32"
    with pytest.raises(StudyOccupied, match="optimiser is adafactor there and adamw here"):
        run_small_study(n_trials=3, optimiser=OptimiserName.ADAMW)


def test_the_trial_log_is_whole_however_quiet_optuna_is(run_small_study: RunSmallStudy) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    outcome = run_small_study(n_trials=1, max_epochs=1)
    log = outcome.trial_log.read_text()
    for line in ("Trial 0: arch_idx=", "Trial 0 epoch 1: ", "Trial 0 ended: "):
        assert line in log

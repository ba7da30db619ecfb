"""What the terminal shows of a study's trials, and what only the trial log has."""

import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import optuna
import pytest
from recovery.sources.collect import Collector

from mlproject.experiments import forecast, objective, trial_context
from mlproject.experiments.study import StudyOutcome, run_study
from mlproject.tracking.trial_log_lines import line_key
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.result import StopReason, TrainingResult
from mlproject.training.scores import Scores
from tests.conftest import MakeSettings

N_TRIALS = 2
SCORES = Scores(auc=0.5, average_precision=0.4, accuracy=0.6)
LONGEST_LINE = 200


@pytest.fixture
def terminal() -> Iterator[io.StringIO]:
    """What a handler of Optuna's logger shows, as the one that Optuna brings does."""
    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    logger = logging.getLogger("optuna")
    logger.addHandler(handler)
    yield shown
    logger.removeHandler(handler)


RunStudy = Callable[..., StudyOutcome]


@pytest.fixture
def run_quick_study(
    work_directory: Path,
    small_market: Path,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> RunStudy:
    """A study whose first trial fails, whose second is complete, and whose third diverges."""
    number = iter(range(100))

    def train(*args: Any, **_more: Any) -> TrainingResult:
        trial = next(number)
        if trial == 0:
            raise RuntimeError("no luck")
        args[3](EpochMetrics(epoch=1, train_loss=0.6, val_loss=0.5))
        return TrainingResult(
            stop_reason=StopReason.DIVERGED if trial == 2 else StopReason.ALL_EPOCHS,
            best_epoch=1,
            best_val_loss=0.5,
            best_scores=SCORES,
            epochs_run=1,
            duration_seconds=50.0,
            samples_per_second=1.0,
            peak_memory_bytes=1,
        )

    monkeypatch.setattr(objective, "train", train)

    def run(**more: Any) -> StudyOutcome:
        settings = make_settings("100k", n_trials=N_TRIALS, max_epochs=2)
        return run_study(settings, data=str(small_market), device="cpu", **more)

    return run


@pytest.mark.slow
def test_a_trial_is_two_short_lines_and_the_trial_log_has_the_whole_story(
    run_quick_study: RunStudy, terminal: io.StringIO, tmp_path: Path
) -> None:
    said: list[str] = []
    outcome = run_quick_study(progress=said.append)
    lines = [line for line in terminal.getvalue().splitlines() if "rial " in line]
    first, second, third = (
        f"64 x {layers}, {heads} heads, d_ff 128" for layers, heads in ((3, 8), (2, 8), (3, 2))
    )
    assert [re.sub(r", took [\d.]+ s", "", line) for line in lines] == [
        f"trial 0 begins, 0 of 2 done: {first}, 2 epochs, min_d_model+max_d_model+max_n_layers",
        f"trial 0 failed, 0 of 2 done: {first}, RuntimeError: no luck, best -",
        f"trial 1 begins, 0 of 2 done: {second}, 2 epochs, min_n_layers",
        f"trial 1 complete, 1 of 2 done: {second}, loss 0.5000, best 0.5000 (trial 1), "
        "at most 2.5 min left",
        f"trial 2 begins, 1 of 2 done: {third}, 2 epochs, min_n_heads, at most 2.5 min left",
        f"trial 2 pruned in epoch 1, 2 of 2 done: {third}, it diverged, best 0.5000 (trial 1)",
    ]
    assert sum(", took " in line for line in lines) == 3
    assert [line for line in said if line.startswith("time left: ")] == [
        "time left: the study at most 2.5 min on this machine (if no trial is pruned or stops "
        "early)"
    ]
    assert "Traceback" not in terminal.getvalue()
    assert max(map(len, lines)) < LONGEST_LINE

    log = outcome.trial_log.read_text()
    for whole in (
        "Trial 0: arch_idx=",
        "Trial 0 failed with parameters: {",
        "RuntimeError: no luck\n",
        "Trial 1: arch_idx=",
        "Trial 1 epoch 1: train_loss=0.6",
        "Trial 1 finished with value: 0.5 and parameters: {",
        "Trial 2 pruned. It diverged",
        "Trial 2 ended: state=PRUNED",
    ):
        assert whole in log
    assert "begins" not in log
    assert "time left" not in log

    # Who reads the terminal's lines for a trial log is told nothing wrong.
    assert not any(map(line_key, lines))
    (tmp_path / "terminal.txt").write_text(terminal.getvalue())
    collector = Collector(zone=ZoneInfo("UTC"))
    collector.add_file(str(tmp_path / "terminal.txt"))
    assert not collector.accounting[0].rejected
    assert collector.accounting[0].lines == collector.accounting[0].accounted
    assert collector.accounting[0].trials == 0


@pytest.mark.slow
def test_a_large_network_is_timed_before_anything_is_written(
    run_quick_study: RunStudy, work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_context, "OPERATIONS_TO_WAIT_FOR", 0)
    monkeypatch.setattr(forecast, "LONG_SECONDS", 0.0)
    said: list[str] = []

    def stop_at_the_estimate(line: str) -> None:
        said.append(line)
        if line.startswith("that is long"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_quick_study(progress=stop_at_the_estimate)
    assert "judged by one layer before the first step" in said[-2]
    (study,) = optuna.get_all_study_summaries(f"sqlite:///{work_directory / 'optuna.db'}")
    assert study.best_trial is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verbosity", "shown"),
    [(optuna.logging.WARNING, ["failed"]), (optuna.logging.ERROR, [])],
)
def test_who_quiets_optuna_is_shown_as_little_as_that(
    run_quick_study: RunStudy, terminal: io.StringIO, verbosity: int, shown: list[str]
) -> None:
    optuna.logging.set_verbosity(verbosity)
    log = run_quick_study().trial_log.read_text()
    lines = [line for line in terminal.getvalue().splitlines() if "rial " in line]
    assert [line.split()[2].rstrip(",") for line in lines if line.startswith("trial ")] == shown
    assert not [line for line in lines if line.startswith("Trial ")]
    assert "Trial 1: arch_idx=" in log

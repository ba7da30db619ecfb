"""A study's own trial log gives back the runs of the live study, to the last digit."""

import itertools
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recovery.cli import cli
from recovery.resolve import resolve
from recovery.sources.collect import Collector
from recovery.write.trial_runs import trial_run

from mlproject.experiments.trial_log import open_trial_log, write_line, write_missing_lines
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import connect, open_experiment
from mlproject.tracking.study_run import open_study_run
from mlproject.tracking.trial_log_lines import end_line, epoch_line, start_line
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from tests.recovery.runs import all_runs, backfill, trial_runs
from tests.tracking.drawn_trials import CONTEXT, GRID, STUDY, studies


def write_log(path: Path, study: list[TrialRun], killed_after: int | None = None) -> None:
    """The log of a study, its process killed after some of its lines and launched again."""
    lines = [f"A new study created in RDB with name: {STUDY}"]
    for trial in study:
        if Param.DROPOUT in trial.params:
            lines.append(start_line(trial))
            lines += [epoch_line(trial.trial_number, losses) for losses in trial.epochs]
        if trial.state is TrialState.COMPLETE:
            value = trial.metrics[Metric.BEST_VAL_LOSS]
            lines.append(
                f"Trial {trial.trial_number} finished with value: {value} and parameters: "
                f"{{'shape_index': 3, 'log2_n_heads': 4}}. Best is trial 0 with value: {value}."
            )
        if trial.state is TrialState.PRUNED:
            lines.append(
                f"Trial {trial.trial_number} pruned. Its validation loss lagged in epoch 1."
            )
        if trial.state is TrialState.FAIL:  # interrupted, perhaps before its own first line
            lines += [
                f"Trial {trial.trial_number} failed with parameters: {{}} because of the following "
                "error: KeyboardInterrupt().",
                f"Trial {trial.trial_number} failed with value None.",
            ]
        lines.append(end_line(trial))
    with open_trial_log(path):
        for line in lines[:killed_after]:
            write_line(line)
    if killed_after is not None:
        with open_trial_log(path):
            write_line(
                f"Using an existing study with `study_name='{STUDY}'` instead of creating "
                "a new one."
            )
            write_missing_lines(path, study)


def recovered(path: Path) -> list[TrialRun]:
    collector = Collector(zone=ZoneInfo("UTC"))
    collector.add_file(str(path))
    [accounting] = collector.accounting
    assert accounting.lines == accounting.accounted
    [(name, records)] = collector.collection().studies.items()
    assert not any(record.problems for record in records)
    study = resolve(name, records)
    return [as_live(trial_run(study, trial, ())) for trial in study.trials]


def as_live(trial: TrialRun) -> TrialRun:
    """A recovered trial without what only recovered ones have."""
    tags = {k: v for k, v in trial.tags.items() if not k.startswith("recovery.")}
    assert tags.pop(Tag.ORIGIN.value) == "log"
    return replace(trial, tags=tags | {Tag.ORIGIN.value: "live"}, known_by=())


_PLACES = itertools.count()


@pytest.mark.slow
@given(study=studies())
def test_a_trial_log_gives_back_every_value(
    study: list[TrialRun], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"round-trip-{next(_PLACES)}.log"
    write_log(path, study)
    assert recovered(path) == study
    path.unlink()


@pytest.mark.slow
@given(study=studies(), killed_after=st.integers(0, 12))
def test_after_a_kill_the_next_launch_makes_the_log_whole(
    study: list[TrialRun], killed_after: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"round-trip-{next(_PLACES)}.log"
    write_log(path, study, killed_after)
    assert sorted(recovered(path), key=lambda trial: trial.trial_number) == study
    path.unlink()


def test_in_mlflow_live_and_recovered_runs_are_equal(
    work_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = [_example(number) for number in range(4)]
    path = work_directory / "study.log"
    write_log(path, study)
    store = open_experiment(connect("live"))
    bring_up_to_date(store, open_study_run(store, STUDY), study)
    assert cli.main(["backfill", str(path), "--experiment", "log"], standalone_mode=False) == 0
    live = {r.data.tags["trial_number"]: r for r in trial_runs(work_directory, "live")}
    log = {r.data.tags["trial_number"]: r for r in trial_runs(work_directory, "log")}
    assert len(live) == len(log) == 4
    for number, run in live.items():
        again = log[number]
        assert (again.data.params, again.data.metrics) == (run.data.params, run.data.metrics)
        for field in ("run_name", "status", "start_time", "end_time"):
            assert getattr(again.info, field) == getattr(run.info, field)
        history = [store.client.get_metric_history(r.info.run_id, "val_loss") for r in (run, again)]
        assert [(p.step, p.value) for p in history[0]] == [(p.step, p.value) for p in history[1]]
    # And into the store that has the live runs, nothing is added.
    assert cli.main(["backfill", str(path), "--experiment", "live"], standalone_mode=False) == 0
    assert len(trial_runs(work_directory, "live")) == 4


def _example(number: int) -> TrialRun:
    row = GRID.architectures[number * 7]
    state = list(MIXED_STATES)[number]
    return TrialRun(
        trial_number=number,
        state=state,
        started_ms=1_790_000_000_000 + number,
        ended_ms=1_790_000_100_000 + number,
        params=CONTEXT
        | {
            Param.ARCH_IDX: row.arch_idx,
            Param.D_MODEL: row.d_model,
            Param.N_LAYERS: row.n_layers,
            Param.N_HEADS: row.n_heads,
            Param.D_FF: row.d_ff,
            Param.PARAM_COUNT: row.param_count,
            Param.LEARNING_RATE: 0.000160041234567,
            Param.EPOCHS: 3,
            Param.BATCH_SIZE: 256,
            Param.WEIGHT_DECAY: 1e-05,
            Param.WARMUP_STEPS: 100,
            Param.DROPOUT: 0.1,
        },
        metrics={
            Metric.HORIZON: 5,
            Metric.PARAM_COUNT: row.param_count,
            Metric.D_MODEL: row.d_model,
            Metric.N_LAYERS: row.n_layers,
            Metric.BEST_VAL_LOSS: 0.51 + number / 7,
        },
        epochs=tuple(
            EpochMetrics(epoch=e, train_loss=0.7 / e, val_loss=0.6 / e) for e in (1, 2, 3)
        ),
        tags={Tag.STUDY_NAME.value: STUDY, Tag.ORIGIN.value: "live"}
        | ({Tag.FAILURE_REASON.value: 'bad, "worse"=1.'} if state is TrialState.FAIL else {}),
    )


MIXED_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE)


LINE = (
    "[I 2026-11-23 20:14:13,539] Trial 0: arch_idx=57, d_model=64, n_layers=48, n_heads=8, "
    "params=2,414,273, lr=0.000160, epochs=50, batch_size=256, d_ff=256, learning_rate=0.00016, "
    "weight_decay=0.0001, warmup_steps=100, dropout=0.2, grid_version=3, n_features=25, "
    "budget={budget}, horizon=3, task={task}, started=2026-11-23T20:14:13.539Z, "
    "study_name={name}.\n"
)


@pytest.mark.parametrize(
    ("budget", "task", "name"),
    [
        ("2M", "t", "x' AND tags.study_name LIKE '%_2M_h3_t"),
        ("2M", "t", "../../../../tmp/owned_2M_h3_t"),
        ("2M", "t' OR '1'='1", "x_2M_h3_t' OR '1'='1"),
        ("<img src=x>", "t", "x_<img src=x>_h3_t"),
        ("2M", "t\x1b]0;x", "x_2M_h3_t\x1b]0;x"),
    ],
)
def test_a_study_name_that_is_no_name_reaches_no_search_and_no_path(
    budget: str,
    task: str,
    name: str,
    work_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("own.log").write_text(LINE.format(budget=budget, task=task, name=name))
    assert backfill("own.log", monkeypatch=monkeypatch) == 1
    assert "rejected: 1 × a field of the line cannot be read" in capsys.readouterr().out
    assert all_runs(work_directory) == []

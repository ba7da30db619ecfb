"""Optuna's storage of a study of this project gives back its live runs, or says why it cannot."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState
from recovery.checks.validate import validate
from recovery.cli import cli
from recovery.records import LaunchId, TrialRecord
from recovery.resolve import ResolvedStudy, resolve
from recovery.sources.optuna.storage import read_study
from recovery.write.trial_runs import trial_run

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.experiments import objective
from mlproject.experiments.describe import ended_trial
from mlproject.experiments.study import run_study
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import (
    ARCHITECTURE_PARAMS,
    IDENTITY_ATTR,
    METRICS_ATTR,
    PROCESS_DIED,
    VALIDATION_WINDOWS_TAG,
    Metric,
    Param,
    Tag,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.plan import FP32_ADAMW
from mlproject.training.train import train
from tests.recovery.runs import trial_runs
from tests.recovery.sources.trial_log.test_trials import as_live

N_FEATURES = 25
BARS = load_bars("sp500")
METRIC_NAMES = [m for m in Metric if m not in ("train_loss", "val_loss", "best_val_loss")]


def settings_of(budget: str, grid_version: int = 3, **changes: Any) -> StudySettings:
    return StudySettings(
        experiment="phase6a",
        budget=parse_budget(budget),
        horizon_days=3,
        task=parse_task("threshold_1pct"),
        grid_version=grid_version,
        **changes,
    )


def space_of(settings: StudySettings) -> SearchSpace:
    return SearchSpace.of(settings, N_FEATURES)


def recover(study: optuna.Study) -> ResolvedStudy:
    return resolve(study.study_name, list(read_study(study, "optuna.db", LaunchId(1))))


def recovered_runs(study: optuna.Study) -> list[TrialRun]:
    resolved = recover(study)
    assert not any(trial.record.problems for trial in resolved.trials)
    return [as_live(trial_run(resolved, trial, ())) for trial in resolved.trials]


@pytest.fixture
def live_study(
    work_directory: Path, small_market: Path, monkeypatch: pytest.MonkeyPatch
) -> optuna.Study:
    """A study with trials that are complete, raised an error, died, and died at once."""
    settings = settings_of("100k", max_epochs=2, n_trials=2)
    monkeypatch.setattr(objective, "train", _break_at(1))
    run_study(settings, data=str(small_market), device="cpu")
    url = f"sqlite:///{work_directory / 'optuna.db'}"
    study = optuna.load_study(study_name=settings.study_name, storage=url)
    dead = study.ask()
    space_of(settings).suggest(dead)
    dead.report(0.7, 1)
    study.ask()
    more = settings_of("100k", max_epochs=2, n_trials=3)
    run_study(more, data=str(small_market), device="cpu")
    return study


def _break_at(broken: int) -> Callable[..., Any]:
    calls = count()

    def sometimes_break(*args: Any, **more: Any) -> Any:
        if next(calls) == broken:
            raise RuntimeError('out of "luck"\nand more')
        return train(*args, **more)

    return sometimes_break


@pytest.mark.slow
def test_backfilled_into_an_empty_experiment_the_runs_are_those_of_the_live_study(
    live_study: optuna.Study, work_directory: Path
) -> None:
    url = f"sqlite:///{work_directory / 'optuna.db'}"
    command = ["backfill", "--optuna", url]
    assert cli.main([*command, "--experiment", "again"], standalone_mode=False) == 0
    live = _shown(work_directory, "phase6a")
    again = _shown(work_directory, "again")
    states = [run["tags"]["trial_state"] for run in live.values()]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"] * 3
    assert PROCESS_DIED in {run["tags"].get("failure_reason") for run in live.values()}
    assert sum(len(run["params"]) == len(Param) - 1 for run in live.values()) == 5
    assert [(1, 0.7)] in [run["epochs"] for run in live.values()]  # died in its second epoch
    assert again == live
    # And where the live runs are, nothing is added.
    runs = {run.info.run_id: run.to_dictionary() for run in trial_runs(work_directory)}
    assert cli.main(command, standalone_mode=False) == 0
    assert {run.info.run_id: run.to_dictionary() for run in trial_runs(work_directory)} == runs


@pytest.mark.slow
def test_the_trial_log_and_the_storage_of_a_study_tell_of_the_same_trials(
    live_study: optuna.Study, work_directory: Path
) -> None:
    url = f"sqlite:///{work_directory / 'optuna.db'}"
    logs = str(work_directory / "trial_logs")
    command = ["backfill", logs, "--optuna", url, "--experiment", "both"]
    assert cli.main(command, standalone_mode=False) == 0
    assert _shown(work_directory, "both") == _shown(work_directory, "phase6a")


def _shown(directory: Path, experiment: str) -> dict[str, Any]:
    runs = trial_runs(directory, experiment)
    shown = {run.data.tags["trial_number"]: _content(directory, run) for run in runs}
    assert len(shown) == len(runs)
    return dict(sorted(shown.items()))


def _content(directory: Path, run: Run) -> dict[str, Any]:
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    return {
        "info": (run.info.run_name, run.info.status, run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": {
            k: v
            for k, v in run.data.tags.items()
            # The files of windows take the study's bars, which no backfill has.
            if k not in (Tag.ORIGIN, VALIDATION_WINDOWS_TAG)
            and not k.startswith(("mlflow.", "recovery."))
        },
        "epochs": [
            (point.step, point.value)
            for name in (Metric.TRAIN_LOSS, Metric.VAL_LOSS)
            for point in client.get_metric_history(run.info.run_id, name)
        ],
    }


@st.composite
def studies(draw: st.DrawFn) -> tuple[SearchSpace, optuna.Study]:
    budget = draw(st.sampled_from(["2M", "20M", "200M", "2B", "750k"]))
    version = draw(st.integers(1, 3))
    space = space_of(settings_of(budget, version, batch_size=draw(st.integers(1, 4096))))
    study = optuna.create_study(study_name=space.settings.study_name)
    study.set_user_attr(IDENTITY_ATTR, space.settings.identity(BARS, N_FEATURES, FP32_ADAMW))
    for _ in range(draw(st.integers(1, 5))):
        study.add_trial(draw(ended_trials(space)))
    return space, study


@st.composite
def ended_trials(draw: st.DrawFn, space: SearchSpace) -> optuna.trial.FrozenTrial:
    began = draw(st.integers(0, 9)) > 0
    state = draw(st.sampled_from([OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.FAIL]))
    state = state if began else OptunaState.FAIL
    sampler = optuna.samplers.RandomSampler(seed=draw(st.integers(0, 2**32 - 1)))
    asked = optuna.create_study(sampler=sampler).ask()
    space.suggest(asked)
    n_params = 7 if began else draw(st.integers(0, 6))
    names = list(asked.params)[:n_params]
    attrs: dict[str, Any] = {}
    for tag in (Tag.FORCED_EXTREME, Tag.SUPPLEMENT, Tag.DIVERGED):
        if draw(st.booleans()):
            attrs[tag] = draw(st.sampled_from(["min_d_model", "true", "a+b"]))
    if draw(st.booleans()):
        attrs[Tag.RETRY_OF] = draw(st.integers(0, 500))
    if draw(st.booleans()):
        attrs[Tag.FAILURE_REASON] = draw(st.text(max_size=20))
    floats = st.floats(allow_nan=False, allow_infinity=False)
    losses = draw(st.lists(floats, max_size=4 if began else 0))
    if draw(st.booleans()):
        attrs["train_losses"] = draw(st.lists(floats, min_size=len(losses), max_size=len(losses)))
        names_of_metrics = st.sampled_from([m.value for m in METRIC_NAMES])
        attrs[METRICS_ATTR] = draw(st.dictionaries(names_of_metrics, floats))
    value = draw(st.floats(0, 5)) if state is OptunaState.COMPLETE else None
    if value is not None:
        attrs[METRICS_ATTR] = attrs.get(METRICS_ATTR, {}) | {"best_val_loss": value}
    return optuna.trial.create_trial(
        state=state,
        value=value,
        params={name: asked.params[name] for name in names},
        distributions={name: asked.distributions[name] for name in names},
        user_attrs={str(key): attr for key, attr in attrs.items()},
        intermediate_values=dict(enumerate(losses, 1)),
    )


@pytest.mark.slow
@given(drawn=studies())
def test_every_value_is_that_of_the_live_run(drawn: tuple[SearchSpace, optuna.Study]) -> None:
    space, study = drawn
    live = [ended_trial(trial, space) for trial in study.trials]
    assert recovered_runs(study) == live


def example(**identity: Any) -> optuna.Study:
    """A study with one complete trial whose identity is changed; None drops an entry."""
    space = space_of(settings_of("20M"))
    study = optuna.create_study(study_name=space.settings.study_name)
    whole = {**space.settings.identity(BARS, N_FEATURES, FP32_ADAMW), **identity}
    study.set_user_attr(IDENTITY_ATTR, {k: v for k, v in whole.items() if v is not None})
    trial = study.ask()
    space.suggest(trial)
    study.tell(trial, 0.5)
    return study


def assert_no_architecture(study: optuna.Study, reason: str) -> TrialRecord:
    resolved = recover(study)
    [trial] = resolved.trials
    assert not set(trial.params) & {*ARCHITECTURE_PARAMS, Param.BATCH_SIZE}
    assert trial.params[Param.LEARNING_RATE] == study.trials[0].params["learning_rate"]
    [warnings] = validate(resolved).warnings.values()
    assert any(w.startswith(f"its architecture is not known: {reason}") for w in warnings)
    # What was chosen stays there, should somebody find the grid out.
    run = trial_run(resolved, trial, ())
    assert run.tags["recovery.param.shape_index"] == str(study.trials[0].params["shape_index"])
    return trial.record


def test_the_example_is_proven_when_its_identity_is_whole() -> None:
    [trial] = recover(example()).trials
    assert set(ARCHITECTURE_PARAMS) < set(trial.params)


@pytest.mark.parametrize("name", ["grid_version", "n_features", "budget", "batch_size", "horizon"])
@pytest.mark.parametrize("value", [None, ["many"], 2.5, True])
def test_an_identity_that_lacks_an_entry_proves_nothing(name: str, value: object) -> None:
    assert_no_architecture(example(**{name: value}), f"the identity of its study has no {name}")


def test_without_an_identity_nothing_is_guessed() -> None:
    study = example()
    study.set_user_attr(IDENTITY_ATTR, None)
    reason = "the storage does not say which grid its study used"
    record = assert_no_architecture(study, reason)
    [trial] = recover(study).trials
    assert trial.params[Param.BUDGET] == "20M"  # the name of the study says so
    assert record.state == "COMPLETE"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"grid_version": 4}, "the identity of its study names no grid (version 4)"),
        ({"grid_version": 1}, "its coordinates are not those of the grid"),
        ({"n_features": 0}, "the identity of its study names no grid"),
        ({"n_features": 10**9}, "the identity of its study names no grid"),
    ],
)
def test_a_grid_that_cannot_be_its_own_is_not_used(change: dict[str, int], reason: str) -> None:
    assert_no_architecture(example(**change), reason)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"budget": "2M"}, Param.BUDGET),
        ({"budget": "many"}, Param.BUDGET),
        ({"horizon": 4}, Param.HORIZON),
        ({"task": "threshold_2pct"}, Param.TASK),
    ],
)
def test_where_identity_and_name_disagree_neither_is_believed(
    change: dict[str, Any], param: Param
) -> None:
    study = example(**change)
    assert_no_architecture(study, "the identity of its study contradicts its name")
    [trial] = recover(study).trials
    assert param not in trial.params


@pytest.mark.parametrize(
    ("searched", "chosen"), [(IntDistribution(0, 10_000), 9_999), (FloatDistribution(0, 14), 3.0)]
)
def test_coordinates_of_another_grid_name_no_architecture(
    searched: BaseDistribution, chosen: float
) -> None:
    study = example()
    wide = optuna.create_study(study_name=study.study_name)
    wide.set_user_attr(IDENTITY_ATTR, study.user_attrs[IDENTITY_ATTR])
    [trial] = study.trials
    trial.distributions["shape_index"] = searched
    trial.params["shape_index"] = chosen
    wide.add_trial(trial)
    assert_no_architecture(wide, "its coordinates are not those of the grid")


def test_a_value_that_its_metrics_contradict_is_a_problem() -> None:
    study = example()
    [trial] = study.trials
    again = optuna.create_study(study_name=study.study_name)
    again.set_user_attr(IDENTITY_ATTR, study.user_attrs[IDENTITY_ATTR])
    trial.user_attrs[METRICS_ATTR] = {"best_val_loss": 0.4}
    again.add_trial(trial)
    [errors] = validate(recover(again)).errors.values()
    assert errors == ("its value is 0.5, which its metrics contradict",)

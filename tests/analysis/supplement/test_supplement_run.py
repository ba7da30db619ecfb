"""A real supplement: forced trials in the same study, after which the gaps are closed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.analysis.audit import audit_experiment
from mlproject.analysis.audit.findings import StudyAudit
from mlproject.experiments import objective
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.models.extremes import distinct_extremes
from mlproject.tracking.names import (
    NOTE_TAG,
    PLANNED_TRIALS_TAG,
    RECOMMENDED_TAG,
    Metric,
    Param,
    Tag,
)
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import connect, connect_to_read, open_experiment
from mlproject.tracking.study_run import open_recovered_study_run
from mlproject.tracking.tracked_studies import read_studies
from tests.analysis.audit.conftest import STARTED_MS, trial_of
from tests.conftest import tags_of_mlflow_run

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

STUDY = "phase6a_2M_h3_threshold_1pct"
GRID = architecture_grid(parse_budget("2M"), 25)
LEFT_OUT = ("max_n_layers", "min_n_heads")


@pytest.fixture
def old_study(work_directory: Path) -> None:
    """A recovered 2M study that tried all but the deepest networks and one extreme."""
    store = open_experiment(connect("phase6a"))
    parent = open_recovered_study_run(store, STUDY, STARTED_MS)
    missed = distinct_extremes(GRID)["min_n_heads"]
    tried = [a for a in GRID.architectures if a.n_layers < 64 and a != missed]
    tags = {Tag.STUDY_NAME.value: STUDY, Tag.ORIGIN.value: "log"}
    trials = [trial_of(a, GRID, n, tags=tags) for n, a in enumerate(tried)]
    bring_up_to_date(store, parent.info.run_id, trials)
    store.client.set_terminated(parent.info.run_id)


@pytest.fixture
def supplement(command: Command, small_market: Path) -> Command:
    def run(*arguments: str, budget: str = "2M") -> tuple[int, str, str]:
        study = ("--budget", budget, "--horizon", "3", "--max-epochs", "1", "--device", "cpu")
        return command("supplement", *study, "--data", str(small_market), *arguments)

    return run


def _audit() -> StudyAudit:
    (study,) = audit_experiment(read_studies(connect_to_read("phase6a"))).studies
    return study


def _runs() -> list[Run]:
    client = MlflowClient()
    found = client.get_experiment_by_name("phase6a")
    return list(client.search_runs([found.experiment_id])) if found else []


def _supplementary() -> list[Run]:
    return [run for run in _runs() if Tag.SUPPLEMENT in run.data.tags]


def test_two_trials_at_2M_close_the_gaps(
    old_study: None, supplement: Command, work_directory: Path
) -> None:
    assert {str(gap) for gap in _audit().gaps} == {"n_layers=64", *LEFT_OUT}
    before = len(_runs())
    code, output, _ = supplement("--trials-per-value", "1", "--dry-run")
    assert code == 0
    assert f"{STUDY}: 2 trials, about" in output
    assert len(_runs()) == before
    assert not (work_directory / "optuna.db").exists()

    code, _, _ = supplement("--trials-per-value", "1")
    assert code == 0
    assert _audit().gaps == ()
    runs = {run.data.tags[Tag.SUPPLEMENT]: run for run in _supplementary()}
    assert set(runs) == {"n_layers=64+max_n_layers", "min_n_heads"}
    (parent,) = [r for r in _runs() if "mlflow.parentRunId" not in r.data.tags]
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags[Tag.FORCED_EXTREME] in LEFT_OUT
        assert run.info.status == "FINISHED"
    assert runs["n_layers=64+max_n_layers"].data.params[Param.N_LAYERS] == "64"
    assert parent.data.tags[PLANNED_TRIALS_TAG] == "50"
    # The summary of the study is one of both kinds of trials.
    trials = [run for run in _runs() if _is_trial(run)]
    losses = [run.data.metrics[Metric.BEST_VAL_LOSS] for run in trials]
    assert parent.data.metrics[Metric.BEST_VAL_LOSS] == min(losses)
    note = parent.data.tags[NOTE_TAG]
    assert f"{len(trials) - 2} trials were recovered from logs" in note
    assert "2 trials finished, 2 of them supplementary" in note
    # Two forced trials are no search: nothing is recommended by them alone.
    assert RECOMMENDED_TAG not in parent.data.tags and "Recommended" not in note
    table = mlflow.artifacts.load_text(f"{parent.info.artifact_uri}/trials.csv")
    assert len(table.splitlines()) == 1 + len(trials)

    code, output, _ = supplement()
    assert code == 0
    assert "nothing to supplement" in output
    assert len(_supplementary()) == 2


@pytest.fixture
def live_study(command: Command, small_market: Path) -> tuple[str, ...]:
    """A live study of two trials; the arguments that launch it."""
    launch = ("study", "--budget", "100k", "--horizon", "3", "--max-epochs", "1")
    launch = (*launch, "--device", "cpu", "--data", str(small_market), "--n-trials")
    assert command(*launch, "2")[0] == 0
    return launch


def test_a_live_study_is_supplemented_on_top_of_its_trials_and_goes_on(
    live_study: tuple[str, ...], command: Command, supplement: Command
) -> None:
    code, _, _ = supplement("--trials-per-value", "1", budget="100k")
    assert code == 0
    assert _audit().gaps == ()
    # The extremes that the study itself had queued are run as its own, the others on top.
    extremes = distinct_extremes(architecture_grid(parse_budget("100k"), 25))
    assert (_audit().finished, _audit().planned) == (len(extremes), 2)
    extra = len(_supplementary())
    assert extra > 0
    forced = [r.data.tags[Tag.FORCED_EXTREME] for r in _runs() if Tag.FORCED_EXTREME in r.data.tags]
    assert sorted(forced) == sorted(extremes)
    # And the study goes on where it stood.
    wanted = len(extremes) + 1
    assert f"{wanted} trials finished" in command(*live_study, str(wanted))[1]
    numbers = sorted(int(r.data.tags[Tag.TRIAL_NUMBER]) for r in _runs() if _is_trial(r))
    assert numbers == list(range(wanted + extra))
    (parent,) = [r for r in _runs() if "mlflow.parentRunId" not in r.data.tags]
    note = f"{wanted} of {wanted} trials finished and {extra} supplementary ones"
    assert note in parent.data.tags[NOTE_TAG]


def _is_trial(run: Run) -> bool:
    return Tag.TRIAL_NUMBER in run.data.tags


def test_an_interrupted_supplement_goes_on_and_doubles_nothing(
    old_study: None, supplement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(objective, "train", interrupt)
        assert supplement("--trials-per-value", "1")[0] == 130
    assert supplement("--trials-per-value", "1")[0] == 0
    finished = [run for run in _supplementary() if run.info.status == "FINISHED"]
    assert len(finished) == 2
    assert len(_supplementary()) == 3
    assert _audit().gaps == ()


def test_a_study_that_does_not_exist_is_one_line(command: Command, old_study: None) -> None:
    code, _, line = command("supplement", "--budget", "2M", "--horizon", "5")
    assert code == 2
    assert "no study 'phase6a_2M_h5_threshold_1pct' in experiment 'phase6a'" in line
    assert STUDY in line


def test_a_plan_made_under_mlflow_run_stays_with_its_run(
    old_study: None, supplement: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient()
    found = client.get_experiment_by_name("phase6a")
    launch = client.create_run(
        found.experiment_id, tags=tags_of_mlflow_run("supplement")
    ).info.run_id
    for name, value in {"budget": "2M", "horizon": "3"}.items():
        client.log_param(launch, name, value)
    monkeypatch.setenv("MLFLOW_RUN_ID", launch)
    assert supplement("--dry-run")[0] == 0
    assert [item.path for item in client.list_artifacts(launch)] == ["supplement.txt"]
    assert read_studies(connect_to_read("phase6a")).foreign_runs == 0

"""A study goes on with the grid and the search space it began with, whatever is current."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import PARENT_RUN_ID_TAG, Param, Tag

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, str, str]]

OLD = architecture_grid(parse_budget("20M"), 25, 2)
CURRENT = architecture_grid(parse_budget("20M"), 25)


@pytest.fixture
def study(small_market: Path) -> tuple[str, ...]:
    """The study's own options: 20M, where the versions of the grid differ; a moment a trial."""
    which = ("--budget", "20M", "--horizon", "1", "--data", str(small_market))
    return (*which, "--max-epochs", "1", "--max-steps", "1")


def _runs() -> list[Run]:
    client = MlflowClient()
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def _trials() -> list[Run]:
    runs = [run for run in _runs() if Tag.TRIAL_NUMBER in run.data.tags]
    return sorted(runs, key=lambda run: int(run.data.tags[Tag.TRIAL_NUMBER]))


def test_an_older_grid_can_be_asked_for_and_is_kept(
    command: Command, study: tuple[str, ...]
) -> None:
    code, _, error = command("study", *study, "--n-trials", "1", "--grid-version", "2")
    assert code == 0, error
    code, _, error = command("study", *study, "--n-trials", "2")
    assert code == 0, error
    code, _, error = command("study", *study, "--n-trials", "3", "--grid-version", "3")
    assert code == 2
    assert "(grid_version is 2 there and 3 here)" in error
    for run in _trials():
        params = run.data.params
        assert (params[Param.GRID_VERSION], params[Param.SEARCH_SPACE]) == ("2", "2")
        row = OLD.architectures[int(params[Param.ARCH_IDX])]
        assert str(row.n_layers) == params[Param.N_LAYERS]
    (parent,) = [run for run in _runs() if PARENT_RUN_ID_TAG not in run.data.tags]
    assert parent.data.params["grid_version"] == "2"
    assert parent.data.params["search_space"] == "2"
    assert parent.data.params["n_architectures"] == str(len(OLD.architectures))


def test_a_supplement_goes_on_with_the_grid_that_the_study_began_with(
    command: Command, study: tuple[str, ...]
) -> None:
    code, _, error = command("study", *study, "--n-trials", "1", "--grid-version", "2")
    assert code == 0, error
    new_depths = set(CURRENT.values("n_layers")) - set(OLD.values("n_layers"))
    code, plan, error = command("supplement", *study, "--trials-per-value", "1", "--dry-run")
    assert code == 0, error
    for depth in new_depths:
        assert f"n_layers={depth}" not in plan
    assert f"n_layers={min(OLD.values('n_layers'))}" in plan
    code, audit, _ = command("audit")
    assert code == 1
    for depth in new_depths:
        (line,) = [line for line in audit.splitlines() if f"n_layers {depth} " in line]
        assert "a study of its own" in line


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--grid-version", "9", "there is no grid version 9: there are 1, 2, 3"),
        ("--search-space", "9", "there is no search space 9: there are 1"),
        ("--grid-version", "two", "'two' is no whole number"),
    ],
)
def test_a_version_that_does_not_exist_is_one_line(
    command: Command, study: tuple[str, ...], option: str, value: str, reason: str
) -> None:
    code, _, error = command("study", *study, option, value)
    assert code == 2
    assert reason in error
    assert not Path("optuna.db").exists()

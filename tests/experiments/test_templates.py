"""The study scripts: as committed, harmless whatever is asked for, the very study they state."""

import ast
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlproject.errors import UserError
from mlproject.experiments.study_script import OutdatedScript, check_script, state_study
from mlproject.experiments.templates import generate_hpo_script, script_text
from mlproject.models.extremes import distinct_extremes
from mlproject.search.study_settings import BadSetting
from mlproject.tracking.names import Tag
from tests.conftest import MakeSettings, MakeSpace
from tests.end_to_end.processes import SCRIPTS, project, script

Command = Callable[..., tuple[int, str, str]]

NAMES = [
    f"hpo_{budget}_h{horizon}_threshold_1pct.py"
    for budget in ("2M", "20M", "200M", "2B")
    for horizon in (1, 3, 5)
]


@pytest.mark.slow
def test_the_committed_scripts_are_what_regenerate_writes(command: Command, tmp_path: Path) -> None:
    code, _, _ = command("regenerate", "--output-dir", str(tmp_path / "new" / "scripts"))
    assert code == 0
    written = {path.name: path.read_text() for path in (tmp_path / "new" / "scripts").iterdir()}
    assert set(written) == set(NAMES)
    assert written == {path.name: path.read_text() for path in SCRIPTS.glob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_script_says_what_it_is_for(name: str, tmp_path: Path) -> None:
    result = script(name, "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    _, budget, horizon, _, _ = name.split("_")
    assert f"the study of {budget} parameters, horizon {horizon[1:]}" in result.stdout
    assert "[default: 50]" in result.stdout


def test_a_script_shows_the_search_space_and_the_extremes(make_space: MakeSpace) -> None:
    for budget in ("2M", "20M", "200M", "2B"):
        space = make_space(budget)
        stated = state_study(space.settings)
        extremes = distinct_extremes(space.grid)
        assert list(stated.forced_extremes) == list(extremes)
        for label, a in extremes.items():
            text = stated.forced_extremes[label]
            for figure in (a.d_model, a.n_layers, a.n_heads, a.d_ff):
                assert f" {figure} " in f" {text.replace(',', ' ')} "
        assert stated.search_ranges["n_layers"].split() == [
            str(value) for value in space.grid.values("n_layers")
        ]
        assert set(space.describe().items()) <= set(stated.search_ranges.items())


@pytest.mark.parametrize(
    ("budget", "horizon", "task"),
    [
        ('2M"); import os; os.system("touch owned")  #', "3", "threshold_1pct"),
        ("2M", '3\n"""\nimport os', "threshold_1pct"),
        ("2M", "3", 'threshold_1pct"); print(1)'),
        ("2M", "3", "../../threshold_1pct"),
        ("../2M", "3", "threshold_1pct"),
        ("10", "3", "threshold_1pct"),
    ],
)
def test_no_parameter_gets_into_a_script_as_code(
    budget: str, horizon: str, task: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError):
        generate_hpo_script(budget, horizon, task, tmp_path / "scripts")
    assert not (tmp_path / "scripts").exists()


def test_a_script_holds_literals_alone(make_settings: MakeSettings) -> None:
    settings = make_settings(
        "1.5M", experiment="My data. v-2", horizon_days=7, n_trials=9, max_epochs=3, seed=4
    )
    tree = ast.parse(script_text(settings))
    (statement,) = [node for node in tree.body if isinstance(node, ast.Assign)]
    call = statement.value
    assert isinstance(call, ast.Call)
    stated = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert stated == dataclasses.asdict(state_study(settings))
    assert [type(node).__name__ for node in tree.body] == [
        *("Expr", "ImportFrom", "ImportFrom", "Assign", "If")
    ]


def test_a_script_is_named_canonically(tmp_path: Path) -> None:
    path = generate_hpo_script("0.75m", "05", "0.50pct", tmp_path)
    assert path == tmp_path / "hpo_750k_h5_threshold_0.5pct.py"
    assert "phase6a_750k_h5_threshold_0.5pct" in path.read_text()


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, line = command("regenerate", "--output-dir", str(tmp_path / "file" / "scripts"))
    assert code == 2
    assert "cannot write" in line


def test_a_script_that_states_something_else_is_refused(make_settings: MakeSettings) -> None:
    today = state_study(make_settings("2M"))
    check_script(today)
    check_script(dataclasses.replace(today, n_trials=80, seed=3, data="mine.csv"))
    shallow = dict(today.search_ranges) | {"n_layers": "2 3 4"}
    with pytest.raises(OutdatedScript, match="states search_ranges n_layers: 2 3 4, and the"):
        check_script(dataclasses.replace(today, search_ranges=shallow))
    fewer = dict(list(today.forced_extremes.items())[1:])
    with pytest.raises(
        OutdatedScript, match=r"forced_extremes without that, and.* min_d_model: 64"
    ):
        check_script(dataclasses.replace(today, forced_extremes=fewer))
    with pytest.raises(OutdatedScript, match="n_features 20, and the program has 25"):
        check_script(dataclasses.replace(today, n_features=20))
    with pytest.raises(BadSetting, match="no grid version 9"):
        check_script(dataclasses.replace(today, grid_version=9))
    with pytest.raises(BadSetting, match="no search space 9: there are 1"):
        check_script(dataclasses.replace(today, search_space=9))


def test_a_script_of_an_older_grid_still_runs_on_that_grid(make_settings: MakeSettings) -> None:
    old = state_study(make_settings("20M", grid_version=2))
    assert "180" not in old.search_ranges["n_layers"].split()
    check_script(old)


@pytest.mark.slow
def test_a_script_goes_on_with_a_study_of_the_command_line_and_back(
    work_directory: Path, small_market: Path
) -> None:
    """In processes of their own, as a user starts them."""
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{work_directory / 'mlflow.db'}"}
    small = ("--max-epochs", "1", "--data", str(small_market), "--device", "cpu", "--n-trials")
    study = ("study", "--budget", "2M", "--horizon", "1")

    begun = project(*study, *small, "1", cwd=work_directory, **store)
    assert begun.returncode == 0, begun.stderr
    gone_on = script("hpo_2M_h1_threshold_1pct.py", *small, "2", cwd=work_directory, **store)
    assert gone_on.returncode == 0, gone_on.stderr
    assert "study      phase6a_2M_h1_threshold_1pct: 2 trials finished" in gone_on.stdout
    back = project(*study, *small, "3", cwd=work_directory, **store)
    assert back.returncode == 0, back.stderr

    client = MlflowClient()
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    (parent,) = [run for run in runs if run not in trials]
    assert parent.info.run_name == "phase6a_2M_h1_threshold_1pct"
    assert sorted(run.data.tags[Tag.TRIAL_NUMBER] for run in trials) == ["0", "1", "2"]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    labels = [run.data.tags[Tag.FORCED_EXTREME] for run in trials]
    assert len(set(labels)) == 3

    other = script("hpo_2M_h1_threshold_1pct.py", *small, "3", "--seed", "1", cwd=work_directory)
    assert other.returncode == 2
    assert "(seed is 0 there and 1 here)" in other.stderr.splitlines()[-1]

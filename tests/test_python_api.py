"""`import mlproject`: the functions that the commands call, their examples and docs/python.md."""

import doctest
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

import mlproject
from tests.end_to_end.processes import REPOSITORY, environment

PAGE = REPOSITORY / "docs" / "python.md"
WITH_EXAMPLES = (
    "StudySettings",
    "architecture_grid",
    "audit",
    "generate_hpo_script",
    "load_bars",
    "report",
    "run_study",
    "supplement",
)


@pytest.mark.slow
def test_importing_it_imports_and_changes_nothing(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; before = dict(os.environ), signal.getsignal(signal.SIGTERM);"
        "import mlproject;"
        "print({'torch', 'mlflow', 'optuna', 'pandas', 'numpy', 'click'} & set(sys.modules),"
        "before == (dict(os.environ), signal.getsignal(signal.SIGTERM)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "set() True\n"


@pytest.mark.parametrize("name", mlproject.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(mlproject, name)
    assert found.__name__ == name
    assert inspect.getdoc(found)
    assert name in dir(mlproject)


def test_the_lazy_names_are_those_that_type_checkers_see() -> None:
    source = inspect.getsource(mlproject)
    shown = re.findall(r"    from (\S+) import (.+)", source)
    assert {module: tuple(names.split(", ")) for module, names in shown} == mlproject._DEFINED_IN
    assert sorted(mlproject._MODULES) == mlproject.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'run_studies'"):
        _ = mlproject.run_studies


@pytest.fixture(scope="module")
def studied(
    tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path
) -> Iterator[pytest.MonkeyPatch]:
    """Works in a folder with the study of the examples, which each of them goes on with."""
    folder = tmp_path_factory.mktemp("studied")
    with pytest.MonkeyPatch.context() as patch:
        _work_in(folder, mlflow_template, patch)
        settings = mlproject.StudySettings.parse(
            "100k", horizon=3, n_trials=2, max_epochs=1, max_steps=1
        )
        mlproject.run_study(settings, device="cpu")
        yield patch


def _work_in(folder: Path, mlflow_template: Path, patch: pytest.MonkeyPatch) -> None:
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    patch.chdir(folder)
    mlflow.set_tracking_uri(None)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        patch.delenv(name, raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("studied")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    tests = [t for t in doctest.DocTestFinder().find(getattr(mlproject, name), name) if t.examples]
    assert tests
    for test in tests:
        failures, _ = doctest.DocTestRunner(verbose=False).run(test, clear_globs=True)
        assert not failures, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("studied")
def test_the_functions_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    settings = mlproject.StudySettings.parse("100k", 3, n_trials=2, max_epochs=1, max_steps=1)
    said: list[str] = []
    mlproject.run_study(settings, device="cpu", progress=said.append)
    mlproject.supplement(settings, dry_run=True)
    mlproject.audit()
    mlproject.report()
    assert capfd.readouterr().out == ""
    assert said[0].startswith("source shape: ")
    assert any("memory plan" in line for line in said)


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, mlflow_template: Path, small_market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work_in(tmp_path, mlflow_template, monkeypatch)
    shutil.copy(small_market, tmp_path / "my_market.csv")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)

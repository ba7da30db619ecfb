"""What `pip install .` gives: both packages, both commands, and all that they import."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import LEGACY
from tests.end_to_end.processes import REPOSITORY

PACKAGES = {"mlproject": REPOSITORY / "src" / "mlproject", "recovery": REPOSITORY / "recovery"}
NEVER_IMPORTED = {
    "arch",  # its file of bars is read where it lies
    "psycopg",  # SQLAlchemy loads it for postgresql:// URLs
}
STUDY = ["--budget=200k", "--horizon=3", "--n-trials=1", "--max-epochs=1", "--max-steps=1"]


def _project() -> dict[str, list[Requirement]]:
    """The requirements of pyproject.toml: `dependencies`, and each extra."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lists = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(text) for text in texts] for name, texts in lists.items()}


def _pins() -> dict[str, str]:
    """Name and version of what conda.yaml pins."""
    (pip,) = [
        each["pip"]
        for each in yaml.safe_load((REPOSITORY / "conda.yaml").read_text())["dependencies"]
        if isinstance(each, dict)
    ]
    pins = [Requirement(text) for text in pip]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def _imported() -> set[str]:
    """The top-level packages of others that the code imports, anywhere in it."""
    found = set()
    for path in (path for folder in PACKAGES.values() for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(PACKAGES) - sys.stdlib_module_names


@pytest.mark.parametrize("requirement", _project()["dependencies"], ids=str)
def test_conda_yaml_pins_a_version_within_each_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(_pins()[canonicalize_name(requirement.name)])


def test_the_dependencies_are_what_the_code_imports() -> None:
    required = {
        name: {canonicalize_name(each.name) for each in requirements}
        for name, requirements in _project().items()
    }
    assert not required["dependencies"] & required["ray"]
    known = required["dependencies"] | required["ray"]
    providers = metadata.packages_distributions()
    used = {
        # Several distributions bring a part of mlflow.
        name: known & set(map(canonicalize_name, providers[name]))
        for name in _imported()
    }
    assert [name for name, distributions in used.items() if not distributions] == []
    assert known - NEVER_IMPORTED == set().union(*used.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, without git: a build leaves folders behind where it runs."""
    source = tmp_path_factory.mktemp("source")
    for folder in ("src", "recovery", "tests/cli", "benchmarks", "experiments"):
        shutil.copytree(
            REPOSITORY / folder,
            source / folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    built = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built)]
    _run([sys.executable, "-m", "pip", *build, str(source)], cwd=source)
    (path,) = built.iterdir()
    return path


@pytest.mark.slow
def test_the_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        f"{package}/{path.relative_to(folder)}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {"mlproject/py.typed", "recovery/py.typed"} <= sources
    assert {name for name in names if ".dist-info/" not in name} == sources


@pytest.mark.slow
def test_what_the_wheel_requires_is_what_these_tests_run_with(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        required = message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    plain = [each for text in required if not (each := Requirement(text)).marker]
    assert len(plain) == len(_project()["dependencies"])
    unsatisfied = {str(r) for r in plain if not r.specifier.contains(metadata.version(r.name))}
    assert not unsatisfied


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh environment with the wheel; other packages are those that these tests run with."""
    folder = tmp_path_factory.mktemp("environment")
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], cwd=folder)
    python = str(folder / "bin" / "python")
    install = ["--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    _run([sys.executable, "-m", "pip", *install], cwd=folder)
    # A folder that a .pth file names is searched, the .pth files in it are not read: an editable
    # install of the project, which is one, stays out.
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    yield folder
    shutil.rmtree(folder)


def _run(command: list[str], cwd: Path) -> str:
    """What a command prints, in an environment that does not know the repository."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTHON"))}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_project_runs_a_study_and_reads_a_log_from_any_folder(
    environment: Path, tmp_path: Path, mlflow_template: Path
) -> None:
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    where = "import mlproject, recovery; print(mlproject.__file__, recovery.__file__)"
    files = _run([str(environment / "bin" / "python"), "-c", where], cwd=tmp_path).split()
    assert all(Path(file).is_relative_to(environment) for file in files)

    said = _run(
        [str(environment / "bin" / "mlproject"), "study", "--device=cpu", *STUDY], cwd=tmp_path
    )
    assert "phase6a_200k_h3_threshold_1pct: 1 trials finished" in said

    log = str(LEGACY / "20M_micro_batch.log")
    said = _run([str(environment / "bin" / "recovery"), "inspect", log], cwd=tmp_path)
    assert "phase6a_20M_h3_threshold_1pct" in said

"""MLproject, the command line and README tell the same story."""

import re
from typing import Any

import click
import pytest
import yaml

from mlproject.cli import cli
from tests.end_to_end.processes import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def _entry_points() -> dict[str, dict[str, Any]]:
    project = yaml.safe_load((REPOSITORY / "MLproject").read_text())
    return dict(project["entry_points"])


def _verb(entry_point: dict[str, Any]) -> click.Command:
    verb = re.search(r"-m mlproject (\S+)", entry_point["command"])
    assert verb is not None
    return cli.commands[verb[1]]


@pytest.mark.parametrize("name", _entry_points())
def test_every_parameter_is_an_option_with_the_same_default(name: str) -> None:
    entry_point = _entry_points()[name]
    verb = _verb(entry_point)
    required = {option.name for option in verb.params if option.required}
    defaults = verb.make_context("verb", [], resilient_parsing=True).params
    for parameter, declared in entry_point["parameters"].items():
        assert f"--{parameter.replace('_', '-')}={{{parameter}}}" in entry_point["command"]
        # A type would make MLflow refuse in its own words what the command line explains better.
        assert declared["type"] == "string"
        if parameter not in required:
            default = defaults[parameter]
            assert declared["default"] == ("" if default is None else str(default))


@pytest.mark.parametrize("name", _entry_points())
def test_readme_lists_every_entry_point(name: str) -> None:
    verb = _verb(_entry_points()[name]).name
    assert f"| `{name}` | `python -m mlproject {verb}` |" in README


def test_readme_lists_the_parameters_of_main_with_their_defaults() -> None:
    for parameter, declared in _entry_points()["main"]["parameters"].items():
        default = f" `{declared['default']}` |" if declared["default"] else " |"
        assert f"| `{parameter}` |{default}" in README

"""MLproject, the command line and docs/studies.md tell the same story."""

import re
from typing import Any

import click
import pytest
import recovery.cli
import yaml

import mlproject.cli.main
from mlproject.training.settings import SEARCH_SPACE_VERSIONS, searched_in
from tests.end_to_end.processes import REPOSITORY

PAGE = (REPOSITORY / "docs" / "studies.md").read_text()


def _entry_points() -> dict[str, dict[str, Any]]:
    project = yaml.safe_load((REPOSITORY / "MLproject").read_text())
    return dict(project["entry_points"])


def _verb(entry_point: dict[str, Any]) -> tuple[str, click.Command]:
    """The program and the command that an entry point calls."""
    called = re.search(r"-m (mlproject|recovery) (\S+)", entry_point["command"])
    assert called is not None
    program = {"mlproject": mlproject.cli.main.cli, "recovery": recovery.cli.cli}[called[1]]
    return f"{called[1]} {called[2]}", program.commands[called[2]]


@pytest.mark.parametrize("name", _entry_points())
def test_every_parameter_is_an_option_with_the_same_default(name: str) -> None:
    entry_point = _entry_points()[name]
    _, verb = _verb(entry_point)
    arguments = {param.name for param in verb.params if isinstance(param, click.Argument)}
    required = {param.name for param in verb.params if param.required}
    defaults = verb.make_context("verb", [], resilient_parsing=True).params
    for parameter, declared in entry_point["parameters"].items():
        assert parameter in defaults
        # A type would make MLflow refuse in its own words what the command line explains better.
        assert declared["type"] == "string"
        if parameter in arguments:
            # Behind the dashes even --experiment=x is a path.
            assert f" -- {{{parameter}}}" in entry_point["command"]
            continue
        assert f"--{parameter.replace('_', '-')}={{{parameter}}}" in entry_point["command"]
        if parameter not in required:
            default = defaults[parameter]
            assert declared["default"] == ("" if default is None else str(default))


@pytest.mark.parametrize("name", _entry_points())
def test_the_page_of_studies_lists_every_entry_point(name: str) -> None:
    called, _ = _verb(_entry_points()[name])
    assert f"| `{name}` | `python -m {called}` |" in PAGE


def test_the_page_of_studies_lists_the_parameters_of_main_with_their_defaults() -> None:
    for parameter, declared in _entry_points()["main"]["parameters"].items():
        default = f" `{declared['default']}` |" if declared["default"] else " |"
        assert f"| `{parameter}` |{default}" in PAGE


@pytest.mark.parametrize("version", SEARCH_SPACE_VERSIONS)
def test_the_page_of_studies_lists_the_ranges_of_every_search_space(version: int) -> None:
    ranges = {row.name: str(row.searched[version]) for row in searched_in(version)}
    head = " | ".join(f"`{name}`" for name in ("search_space", *ranges))
    assert f"| {head} |" in PAGE
    assert f"| {version} | {' | '.join(ranges.values())} |" in PAGE

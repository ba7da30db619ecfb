"""Which file a SQLite URL names, however it is spelt."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from mlproject.text.sqlite_urls import is_in_memory, sqlite_file, sqlite_url


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///optuna.db", "optuna.db"),
        ("sqlite:////a/optuna.db", "/a/optuna.db"),
        ("sqlite+pysqlite:////a/optuna.db", "/a/optuna.db"),
        ("sqlite:////a/My%20St%C3%BCdies/optuna.db", "/a/My Stüdies/optuna.db"),
        ("sqlite:////a/My Stüdies/optuna.db", "/a/My Stüdies/optuna.db"),
        ("sqlite:////a/100%/optuna.db", "/a/100%/optuna.db"),
        ("sqlite:////a/optuna.db?timeout=9", "/a/optuna.db"),
        ("sqlite:///file:/a/optuna.db?uri=true", "/a/optuna.db"),
    ],
)
def test_a_file_is_read_as_sqlalchemy_reads_it(url: str, file: str) -> None:
    assert sqlite_file(url) == Path(file)
    assert (make_url(url).database or "").removeprefix("file:") == file


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:study?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_database_in_memory_has_no_file(url: str) -> None:
    assert is_in_memory(url)
    assert sqlite_file(url) is None


@pytest.mark.parametrize("url", ["postgresql://me@host/db", "http://host:5000", "./mlruns"])
def test_what_is_no_sqlite_has_no_file_either(url: str) -> None:
    assert not is_in_memory(url)
    assert sqlite_file(url) is None


@pytest.mark.parametrize("folder", ["plain", "My Stüdies", "100%25", "100% sure", "why?", "a+b#c"])
def test_the_url_of_a_file_leads_back_to_it(folder: str) -> None:
    file = Path("/somewhere") / folder / "optuna.db"
    assert sqlite_file(sqlite_url(file)) == file
    assert make_url(sqlite_url(file)).database == str(file)

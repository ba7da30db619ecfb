"""Whose tables a SQLite file holds, read without changing the file."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_MLFLOW, _OPTUNA = {"experiments", "runs"}, {"studies", "trials"}


def holds_mlflow(file: Path) -> bool:
    """Tell whether MLflow keeps its runs there."""
    return _tables(file) >= _MLFLOW


def holds_optuna_alone(file: Path) -> bool:
    """Tell whether Optuna keeps its studies there, and MLflow does not."""
    tables = _tables(file)
    return tables >= _OPTUNA and not tables >= _MLFLOW


def _tables(file: Path) -> set[str]:
    if file.is_file():
        address = f"{file.absolute().as_uri()}?mode=ro"
        with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as database:
            found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {name for (name,) in found}
    return set()

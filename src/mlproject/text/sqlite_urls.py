"""The file of a SQLite URL, as MLflow and Optuna write it."""

from pathlib import Path

SQLITE = "sqlite:///"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL; None for a server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None

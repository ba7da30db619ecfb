"""Write-ahead logging of MLflow's SQLite file, while a backfill writes to it.

Without it SQLite waits for the disk several times per call, which is nearly all the time that a
backfill takes. Nothing is less safe: each call is on disk before the next one. Where the mode
cannot be changed (somebody else has the file open), everything works as before, more slowly.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from mlproject.tracking.store import sqlite_file


@contextmanager
def write_ahead(uri: str) -> Iterator[None]:
    """Switch the file of a SQLite `uri` to write-ahead logging, and back at the end."""
    path = sqlite_file(uri)
    if path is None or not path.exists():
        yield
        return
    engines: set[Engine] = set()

    def remember(connection: Connection) -> None:
        engines.add(connection.engine)

    before = _journal_mode(path, "WAL")
    event.listen(Engine, "engine_connect", remember)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", remember)
        if before not in (None, "wal"):
            # The mode changes only when nobody is connected, MLflow's idle connections included.
            for engine in engines:
                engine.dispose()
            _journal_mode(path, before)


def _journal_mode(path: Path, mode: str) -> str | None:
    """Set the mode and return the one before; None when it could not be set."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
        before = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
        connection.execute(f"PRAGMA journal_mode={mode}")
        return before
    return None

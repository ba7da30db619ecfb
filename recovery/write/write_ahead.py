"""Write-ahead logging of MLflow's SQLite file, while a backfill writes to it (decision 6).

Without it SQLite waits for the disk several times per call, which may be nearly all the time that
a backfill takes. With it SQLite need not wait: the file is whole at every moment, a process that is
killed loses nothing, and a loss of power takes at most the newest runs, which the same command
brings back. At its end everything is on disk. Where the mode cannot be changed (somebody else uses
the file), everything works as before, more slowly.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from mlproject.text.sqlite_urls import sqlite_file


@contextmanager
def write_ahead(uri: str) -> Iterator[None]:
    """Switch the file of a SQLite `uri` to write-ahead logging, and back at the end."""
    path = sqlite_file(uri)
    before = _switch(path) if path is not None and path.exists() else None
    if path is None or before is None:
        yield
        return
    engines: set[Engine] = set()

    def hurry(connection: Connection) -> None:
        engines.add(connection.engine)
        # Past SQLAlchemy, which would begin a transaction. In write-ahead mode alone it is safe.
        sqlite = connection.connection.dbapi_connection
        assert isinstance(sqlite, sqlite3.Connection)
        sqlite.execute("PRAGMA synchronous=NORMAL")

    event.listen(Engine, "engine_connect", hurry)
    try:
        yield
    finally:
        event.remove(Engine, "engine_connect", hurry)
        # The mode changes only when nobody is connected, MLflow's idle connections included.
        for engine in engines:
            engine.dispose()
        _settle(path, before)


def _switch(path: Path) -> str | None:
    """Set the mode and return the one before; None when it could not be set."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
        before = connection.execute("PRAGMA journal_mode").fetchone()[0]
        now = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        return str(before) if now == "wal" else None
    return None


def _settle(path: Path, mode: str) -> None:
    """Bring everything to the disk and, unless somebody else has the file open, set the mode."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute(f"PRAGMA journal_mode={mode}")

"""A SQLite file that becomes MLflow's store: made by one process, while the others wait.

MLflow makes its tables in many steps without a lock. Two processes that begin at once break the
file for good (mlflow issues 19943 and 24321).
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlproject.text.sqlite_urls import sqlite_file

LONGEST_SECONDS = 120.0
"""Making the tables takes seconds. After this long MLflow is asked, whatever is there."""
_STILL_SECONDS = 10.0
"""Whoever makes tables and does not write for so long has died."""
_POLL_SECONDS = 0.2


@contextmanager
def one_maker(uri: str) -> Iterator[None]:
    """Keep others of this project from making the store of a `uri` while the block makes it.

    Where another program is at it, such as `mlflow run` or `mlflow server`, wait for its end first.
    """
    file = sqlite_file(uri)
    if file is None or _is_made(file) or not file.parent.is_dir():
        yield
        return
    lock = FileLock(file.with_name(f"{file.name}.making.lock"), timeout=LONGEST_SECONDS)
    with suppress(Timeout, OSError):
        lock.acquire()
    try:
        _wait_for_others(file)
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # while it is held: who waits sees that its file is gone
                Path(lock.lock_file).unlink()
        lock.release()


def _wait_for_others(file: Path) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and not _is_made(file):
        try:
            state = file.stat()
        except OSError:
            return
        if state.st_size == 0 or time.time() - state.st_mtime > _STILL_SECONDS:
            return
        time.sleep(_POLL_SECONDS)


def _is_made(file: Path) -> bool:
    """Tell whether all tables are there: MLflow adds its default experiment last."""
    if not file.is_file():
        return False
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db,
    ):
        return db.execute("SELECT count(*) FROM experiments").fetchone()[0] > 0
    return False

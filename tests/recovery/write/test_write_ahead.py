"""How a backfill treats the file of a SQLite store."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from recovery.write.backfill import open_store
from recovery.write.write_ahead import write_ahead
from sqlalchemy import create_engine


def ask(path: Path, pragma: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


def test_while_it_writes_mlflow_need_not_wait_for_the_disk(work_directory: Path) -> None:
    path = work_directory / "mlflow.db"
    with write_ahead(f"sqlite:///{path}"):
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
            connection.exec_driver_sql("CREATE TABLE kept (id INTEGER)")
    assert ask(path, "table_info(kept)") == 0
    assert ask(path, "journal_mode") == "delete"
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_what_is_written_is_in_the_file_alone_at_the_end(work_directory: Path) -> None:
    with open_store("phase6a") as store:
        run_id = store.client.create_run(store.experiment_id).info.run_id
    assert not list(work_directory.glob("mlflow.db-*"))
    copy = work_directory / "copy.db"
    copy.write_bytes((work_directory / "mlflow.db").read_bytes())
    assert MlflowClient(f"sqlite:///{copy}").get_run(run_id).info.run_id == run_id


@pytest.mark.slow
def test_a_file_that_somebody_else_uses_stays_as_it_is(work_directory: Path) -> None:
    path = work_directory / "mlflow.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM runs").fetchone()
        with write_ahead(f"sqlite:///{path}"):
            engine = create_engine(f"sqlite:///{path}")
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            engine.dispose()
    assert ask(path, "journal_mode") == "delete"


def test_a_file_in_this_mode_already_keeps_it(work_directory: Path) -> None:
    path = work_directory / "mlflow.db"
    assert ask(path, "journal_mode=WAL") == "wal"
    with open_store("phase6a") as store:
        store.client.create_run(store.experiment_id)
    assert ask(path, "journal_mode") == "wal"

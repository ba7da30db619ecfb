"""Backfills in real processes: killed, at the same time, and repeated."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.launches import Launch
from tests.end_to_end.processes import start_backfill
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import all_runs, content

pytestmark = pytest.mark.slow

LOG = LEGACY / "2M_no_heads.log"
KILLS = 10


def _start(directory: Path) -> Launch:
    store = f"sqlite:///{directory / 'mlflow.db'}"
    return start_backfill(str(LOG), cwd=directory, MLFLOW_TRACKING_URI=store)


@pytest.fixture(scope="module")
def once(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store into which the log was backfilled once."""
    directory = tmp_path_factory.mktemp("once")
    shutil.copy(mlflow_template, directory / "mlflow.db")
    assert _start(directory).wait() == 0
    return directory


def test_killed_at_random_moments_and_run_again_it_is_as_if_run_once(
    once: Path, mlflow_template: Path, tmp_path: Path
) -> None:
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    rng = random.Random(0)
    runs_at_kill = []
    for kill in range(KILLS):
        process = _start(tmp_path)
        before = _count(tmp_path)
        while process.poll() is None and _count(tmp_path) == before:
            time.sleep(0.02)  # killing what has written nothing shows nothing
        time.sleep(rng.uniform(0, 0.12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        runs_at_kill.append(_count(tmp_path))
        if process.returncode == 0:
            assert kill > 0, "it was never killed while it wrote"
            break
    assert _start(tmp_path).wait() == 0
    assert content(tmp_path) == content(once)
    assert len(set(runs_at_kill)) > 2


def test_two_at_once_double_nothing(once: Path, tmp_path: Path) -> None:
    # No store yet: the two also have to agree on who makes it.
    first, second = _start(tmp_path), _start(tmp_path)
    assert (first.wait(), second.wait()) == (0, 0)
    assert content(tmp_path) == content(once)


def test_run_again_it_changes_nothing(once: Path) -> None:
    before = {run.info.run_id: run.to_dictionary() for run in all_runs(once)}
    assert _start(once).wait() == 0
    assert {run.info.run_id: run.to_dictionary() for run in all_runs(once)} == before


def _count(directory: Path) -> int:
    import sqlite3

    with sqlite3.connect(directory / "mlflow.db", timeout=30) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM runs")
    return int(count)

"""Whatever happens to the processes, the disk, the store or the clock: no trial is lost or torn.

The long forms; the short form of the kills is test_kill_and_resume.py.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.prefork import Launcher, launcher
from tests.end_to_end.whole_study import check_whole

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("MLPROJECT_KILLS", "100"))
SEED = int(os.environ.get("MLPROJECT_KILL_SEED", "0"))
N_TRIALS = 8
LATEST_KILL_SECONDS = 8.0
"""A launch that lives longer is left to finish, so that every study comes to an end."""

LAUNCHES = {"one worker": ()}
"""Arguments of the launches that are killed."""


@pytest.fixture(scope="module")
def launches() -> Iterator[Launcher]:
    with launcher() as found:
        yield found


def _command(market: Path, *more: str) -> tuple[str, ...]:
    return (
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(N_TRIALS), "--max-epochs", "6", *more),
    )


@pytest.mark.parametrize("more", LAUNCHES.values(), ids=LAUNCHES)
def test_killed_at_random_moments_a_study_is_whole_in_the_end(
    launches: Launcher,
    tmp_path: Path,
    mlflow_template: Path,
    small_market: Path,
    more: tuple[str, ...],
) -> None:
    rng = random.Random(SEED)
    began = time.monotonic()
    kills, studies, died = 0, 0, 0
    while kills < KILLS:
        directory = tmp_path / f"study_{studies}"
        directory.mkdir()
        shutil.copy(mlflow_template, directory / "mlflow.db")
        command = _command(small_market, *more)
        env = {"MLFLOW_TRACKING_URI": f"sqlite:///{directory / 'mlflow.db'}"}
        while True:
            process = launches.start(*command, cwd=directory, **env)
            if kills < KILLS:
                _kill_later(process, rng.uniform(0, LATEST_KILL_SECONDS * 1.2))
            ended = launches.wait()
            if ended.returncode != -signal.SIGKILL:
                break
            kills += 1
        assert ended.returncode == 0, ended.stderr
        trials = check_whole(directory, N_TRIALS)
        states = Counter(told.state.value for told in trials.values())
        died += states["FAIL"]
        studies += 1
        print(
            f"study {studies}: {dict(states)}; {kills} kills so far "
            f"(seed {SEED}, {time.monotonic() - began:.0f} s)",
            flush=True,
        )
        shutil.rmtree(directory)
    print(f"{kills} kills in {studies} studies, {died} trials died: all whole")
    assert died > 0, "no kill hit a trial: nothing was tested"


def _kill_later(process: int, seconds: float) -> None:
    """Kill a process after so long, unless it has ended before or is to be left alone."""
    if seconds > LATEST_KILL_SECONDS:
        return
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not _is_over(process):
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(process, signal.SIGKILL)


def _is_over(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()

"""Whatever happens to the processes, the disk, the store or the clock: no trial is lost or torn.

The long forms; the short form of the kills is test_kill_and_resume.py.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from tests.end_to_end.launches import Completed
from tests.end_to_end.processes import (
    MLFLOW_RUN,
    PROJECT,
    backfill,
    project,
    start_project,
    start_unforked,
    unforked,
    wait_until,
)
from tests.end_to_end.whole_study import check_whole, told_by_mlflow

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("MLPROJECT_KILLS", "100"))
SEED = int(os.environ.get("MLPROJECT_KILL_SEED", "0"))
N_TRIALS = 8
_INTERRUPTED = 130
_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
_BEFORE_ITS_HANDLER = (-signal.SIGHUP, -signal.SIGTERM, -signal.SIGINT)
"""How a launch ends that a signal reaches before it takes any."""
_FAKETIME = "*/faketime/libfaketimeMT.so.1"

LAUNCHES = {"one worker": (), "three workers": ("--workers", "3")}
"""Arguments of the launches that are killed."""


def _command(market: Path, *more: str) -> tuple[str, ...]:
    return (
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(N_TRIALS), "--max-epochs", "6", *more),
    )


@pytest.mark.parametrize("more", LAUNCHES.values(), ids=LAUNCHES)
def test_killed_at_random_moments_a_study_is_whole_in_the_end(
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
        while True:
            process = start_project(*command, cwd=directory, **_store(directory))
            if kills < KILLS:
                kills += _kill_at(_random_moment(rng), process.pid, directory, rng)
            ended = process.complete()
            if ended.returncode not in (-signal.SIGKILL, *_BEFORE_ITS_HANDLER, _INTERRUPTED):
                break
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_study_ends_with_the_mlflow_run_that_started_it(
    tmp_path: Path, mlflow_template: Path, small_market: Path, how: signal.Signals
) -> None:
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    params = ("budget=100k", "horizon=3", f"data={small_market}", "max_epochs=40", "n_trials=50")
    options = [option for param in params for option in ("-P", param)]
    launcher = start_unforked(
        *MLFLOW_RUN, "--experiment-name", "phase6a", *options, cwd=tmp_path, **_store(tmp_path)
    )
    wait_until(lambda: "Trial 1 epoch 2" in _log(tmp_path), "an epoch of trial 1")
    children = psutil.Process(launcher.pid).children(recursive=True)
    launcher.send_signal(how)
    launcher.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    client = MlflowClient(_store(tmp_path)["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    states = Counter(run.info.status for run in client.search_runs([experiment.experiment_id]))
    assert states["RUNNING"] == 0
    assert states["KILLED"] == 1, "the parent"
    assert not list(tmp_path.glob("*.lock"))


@pytest.fixture
def small_disk(tmp_path: Path, mlflow_template: Path) -> Iterator[Path]:
    """A disk of its own, of a few megabytes, with an empty MLflow database on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    # A skip would say nothing: who asks for the long tests is told what they need.
    assert os.geteuid() == 0, "needs root: it mounts a small disk"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk], check=True)
    try:
        shutil.copy(mlflow_template, disk / "mlflow.db")
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def _store(directory: Path) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{directory / 'mlflow.db'}"}


def _log(directory: Path) -> str:
    logs = (directory / "trial_logs").glob("*.log")
    return "".join(log.read_text(errors="replace") for log in logs)


def _assert_one_line(ended: Completed, returncode: int, *texts: str) -> None:
    assert ended.returncode == returncode, ended.stderr
    last = ended.stderr.rstrip().splitlines()[-1]
    assert last.startswith("error: ")
    for text in texts:
        assert text in last


def _fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@pytest.mark.parametrize("moment", ["Trial 0: ", "Trial 1 epoch 2", "Trial 3 ended"])
def test_a_full_disk_tears_nothing(small_disk: Path, small_market: Path, moment: str) -> None:
    command = _command(small_market)
    study = start_project(
        *command, cwd=small_disk, MLFLOW_HTTP_REQUEST_TIMEOUT="3", **_store(small_disk)
    )
    wait_until(lambda: moment in _log(small_disk), moment)
    _fill(small_disk)
    _assert_one_line(study.complete(), 2, "cannot be written", "full", "same command again")
    while_full = project(*command, cwd=small_disk, **_store(small_disk))
    _assert_one_line(while_full, 2)
    (small_disk / "filler").unlink()
    again = project(*command, cwd=small_disk, **_store(small_disk))
    assert again.returncode == 0, again.stderr
    check_whole(small_disk, N_TRIALS)


def test_only_the_trial_logs_disk_is_full(
    small_disk: Path, tmp_path: Path, mlflow_template: Path, small_market: Path
) -> None:
    """The study goes on, its end says what is missing, and the next launch adds it."""
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(mlflow_template, work / "mlflow.db")
    (small_disk / "logs").mkdir()
    (work / "trial_logs").symlink_to(small_disk / "logs")
    command = _command(small_market)
    study = start_project(*command, cwd=work, **_store(work))
    wait_until(lambda: "Trial 1 epoch 2" in _log(work), "an epoch of trial 1")
    _fill(small_disk)
    ended = study.complete()
    _assert_one_line(ended, 2, "trial log", "No space left on device", "same command again")
    assert "the study goes on, but trial log" in ended.stderr
    assert _log(work).endswith("\n")
    (small_disk / "filler").unlink()
    again = project(*command, cwd=work, **_store(work))
    assert again.returncode == 0, again.stderr
    check_whole(work, N_TRIALS)


@pytest.mark.parametrize("finished", [0, 2])
def test_a_store_that_can_only_be_read_is_refused_in_one_line(
    small_disk: Path, small_market: Path, finished: int
) -> None:
    if finished:
        few = (*_command(small_market), "--n-trials", str(finished))
        first = project(*few, cwd=small_disk, **_store(small_disk))
        assert first.returncode == 0, first.stderr
    else:
        (small_disk / "mlflow.db").unlink()
    before = _contents(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    refused = project(*_command(small_market), cwd=small_disk, **_store(small_disk))
    _assert_one_line(refused, 2)
    assert _contents(small_disk) == before
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    again = project(*_command(small_market), cwd=small_disk, **_store(small_disk))
    assert again.returncode == 0, again.stderr
    check_whole(small_disk, N_TRIALS)


def _contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_clock_that_jumps_loses_and_doubles_nothing(
    tmp_path: Path, mlflow_template: Path, small_market: Path
) -> None:
    """Two hours back and a day forth in the middle of a study, then once more between launches."""
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    jumps = tmp_path / "clock"
    jumps.write_text("+0")
    clock = {
        "LD_PRELOAD": _libfaketime(),
        "FAKETIME_TIMESTAMP_FILE": str(jumps),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    # The clock is that of the libraries that a process loads as it starts.
    command = (*PROJECT, *_command(small_market))
    process = start_unforked(*command, cwd=tmp_path, **clock, **_store(tmp_path))
    for moment, jump in (("Trial 1 epoch 3", "-2h"), ("Trial 3 epoch 3", "+1d")):
        wait_until(lambda: moment in _log(tmp_path), moment)  # noqa: B023
        jumps.write_text(jump)
    wait_until(lambda: "Trial 4 epoch 3" in _log(tmp_path), "trial 4")
    process.kill()
    process.communicate()
    for jump in ("-1d", "+0"):
        jumps.write_text(jump)
        again = unforked(*command, cwd=tmp_path, **clock, **_store(tmp_path))
        assert again.returncode == 0, again.stderr
        trials = check_whole(tmp_path, N_TRIALS)
    assert all(trial.ended_ms >= trial.started_ms for trial in trials.values())
    starts = [trials[number].started_ms for number in sorted(trials)]
    assert starts != sorted(starts), "the clock never jumped back: nothing was tested"
    # The log of it is a log like any other.
    fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    log = str(next((tmp_path / "trial_logs").glob("*.log")))
    written = backfill(log, "--experiment", "fresh", cwd=tmp_path, MLFLOW_TRACKING_URI=fresh)
    assert written.returncode == 0, written.stdout
    assert told_by_mlflow(fresh, "fresh") == trials


def _libfaketime() -> str:
    places = [os.environ.get("LIBFAKETIME", ""), *map(str, Path("/usr/lib").glob(_FAKETIME))]
    found = next((place for place in places if place and Path(place).exists()), None)
    assert found is not None, "needs libfaketime: apt-get install libfaketime (or set LIBFAKETIME)"
    return found


def _kill_at(moment: tuple[int, float], process: int, directory: Path, rng: random.Random) -> bool:
    """Kill a launch, or one of its workers, so many lines of the trial log and seconds later.

    Now and then the launch is asked to end instead, once or several times.
    False: it had ended by then.
    """
    lines, seconds = moment
    begun_at = _log(directory).count("\n")
    while not _is_over(process) and _log(directory).count("\n") < begun_at + lines:
        time.sleep(0.005)
    deadline = time.monotonic() + seconds
    while not _is_over(process) and time.monotonic() < deadline:
        time.sleep(0.005)
    if rng.random() < 0.3:  # a request to end, or several of them, instead
        with contextlib.suppress(ProcessLookupError):
            for _ in range(rng.randint(1, 3)):
                os.kill(process, rng.choice(_SIGNALS))
                time.sleep(0.3 * rng.random())
            return True
        return False
    victims = [process, *_workers_of(process)]
    victim = victims[0] if rng.random() < 0.5 else rng.choice(victims)
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(victim, signal.SIGKILL)
        return True
    return False


def _workers_of(process: int) -> list[int]:
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process).children(recursive=True)
        return sorted(child.pid for child in children if child.name().startswith("ray::Trial"))
    return []


def _random_moment(rng: random.Random) -> tuple[int, float]:
    """In the trial log's time, which a busy machine does not change: a trial has nine lines.

    No line at all is a moment of the start. What is later than the last line, one of the end.
    """
    return rng.randint(0, 12), rng.choice((0.02, 0.2, 2.0)) * rng.random()


def _is_over(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()

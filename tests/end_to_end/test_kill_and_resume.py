"""A process that is killed loses nothing: the same command goes on where it stopped."""

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.tracking.names import Tag
from tests.end_to_end.processes import (
    project,
    start_project,
    wait_until,
)
from tests.end_to_end.whole_study import check_whole

N_TRIALS = 8
EPOCHS = 6


def _command(market: Path, *, epochs: int = EPOCHS) -> tuple[str, ...]:
    return (
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(N_TRIALS), "--max-epochs", str(epochs)),
    )


def _log(directory: Path) -> str:
    (path,) = (directory / "trial_logs").glob("*.log")
    return path.read_text()


def _has_logged(directory: Path, text: str) -> bool:
    return any((directory / "trial_logs").glob("*.log")) and text in _log(directory)


def _runs(directory: Path) -> tuple[list[Run], list[Run]]:
    """Parents and trials."""
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "phase6a"]
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    return [run for run in runs if run not in trials], trials


@pytest.mark.parametrize("moment", ["Trial 0: ", "Trial 1 epoch 2", "Trial 6 epoch 1"])
def test_killed_and_launched_again_it_ends_as_if_nothing_had_happened(
    work_directory: Path, small_market: Path, moment: str
) -> None:
    process = start_project(*_command(small_market), cwd=work_directory)
    wait_until(lambda: _has_logged(work_directory, moment), moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ended = len(re.findall(r"Trial \d+ ended", _log(work_directory)))
    assert ended < N_TRIALS, "it was killed too late to test anything"

    again = project(*_command(small_market), cwd=work_directory)
    assert again.returncode == 0, again.stderr

    trials = check_whole(work_directory, N_TRIALS)
    assert Counter(told.state for told in trials.values()) == {"COMPLETE": N_TRIALS, "FAIL": 1}
    (killed,) = [told for told in trials.values() if told.state == "FAIL"]
    assert "process died" in killed.tags[Tag.FAILURE_REASON]
    (retry,) = [told for told in trials.values() if Tag.RETRY_OF in told.tags]
    assert retry.tags[Tag.RETRY_OF] == killed.tags[Tag.TRIAL_NUMBER]
    # The journal says it once each.
    for number in trials:
        assert _log(work_directory).count(f"Trial {number} ended: ") == 1


def test_a_study_that_is_running_is_not_run_twice(work_directory: Path, small_market: Path) -> None:
    long = _command(small_market, epochs=40)  # it must not end before the second one asks
    process = start_project(*long, cwd=work_directory)
    wait_until(lambda: _has_logged(work_directory, "Trial 0: "), "the first trial")
    second = project(*long, cwd=work_directory)
    assert second.returncode == 2
    assert f"is being run by another process, pid {process.pid} on " in second.stderr
    assert process.wait() == 0
    parents, trials = _runs(work_directory)
    assert len(parents) == 1
    assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
    assert len(trials) == N_TRIALS


@pytest.mark.parametrize(
    "how",
    [
        (signal.SIGINT,),
        (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM),
        (signal.SIGHUP, signal.SIGINT),
    ],
)
def test_interrupted_it_closes_its_runs_and_says_how_to_go_on(
    work_directory: Path, small_market: Path, how: tuple[signal.Signals, ...]
) -> None:
    process = start_project(*_command(small_market), cwd=work_directory)
    wait_until(lambda: _has_logged(work_directory, "Trial 1 epoch 1"), "an epoch of trial 1")
    for each in how:
        process.send_signal(each)
        time.sleep(0.3)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.rstrip().endswith("error: interrupted: run the same command again to go on")
    (parent,), trials = _runs(work_directory)
    assert parent.info.status == "KILLED"
    assert "RUNNING" not in {run.info.status for run in trials}
    assert not list(work_directory.glob("*.lock"))
    (stopped,) = [run for run in trials if run.info.status == "FAILED"]
    assert stopped.data.tags[Tag.FAILURE_REASON] == "interrupted"

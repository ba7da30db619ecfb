"""The tracking server goes away in the middle of a study, and comes back, or does not."""

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlproject.tracking.names import Metric, Param
from tests.end_to_end.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.end_to_end.launches import Launch
from tests.end_to_end.processes import (
    SERVERS,
    TIMEOUT_SECONDS,
    backfill,
    constants,
    free_port,
    mlflow_server,
    project,
    start_project,
    wait_until,
)
from tests.end_to_end.whole_study import Told, check_whole, told_by_mlflow, told_by_storage

pytestmark = pytest.mark.xdist_group(SERVERS)

N_TRIALS = 6
MANY = 500
"""More trials than a study comes to before its test ends it."""
REQUEST_SECONDS = 5
"""How long a study here waits for an answer: longer than a busy machine takes for one."""

StartedStudy = tuple[Launch, Path]
Start = Callable[[list[str], str], StartedStudy]


@pytest.fixture
def proxy(server: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(server) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path, small_market: Path
) -> dict[int, Told]:
    """The trials of a study that nothing befell, as MLflow shows them."""
    directory = tmp_path_factory.mktemp("undisturbed")
    (directory / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    study = project(*_command(small_market), cwd=directory)
    assert study.returncode == 0, study.stderr
    return check_whole(directory, N_TRIALS)


def _command(market: Path, n_trials: int = N_TRIALS, experiment: str = "phase6a") -> list[str]:
    return [
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(n_trials), "--max-epochs", "4", "--experiment", experiment),
    ]


@pytest.fixture
def start(work_directory: Path) -> Start:
    """Starts a study, and hands it over with its trial log when it has begun its first trial."""

    def start(command: list[str], address: str) -> StartedStudy:
        study = start_project(
            *command,
            cwd=work_directory,
            MLFLOW_TRACKING_URI=address,
            MLFLOW_HTTP_REQUEST_TIMEOUT=str(REQUEST_SECONDS),
            **constants({"mlproject.tracking.live_tracking:LONGEST_PAUSE_SECONDS": 1.0}),
        )
        logs = work_directory / "trial_logs"
        wait_until(lambda: any("Trial 0: " in log.read_text() for log in logs.glob("*")), "trial 0")
        (log,) = logs.glob("*.log")
        return study, log

    return start


def _ended(log: Path) -> int:
    return log.read_text().count(" ended: ")


def _wait_for_ended(log: Path, count: int) -> None:
    wait_until(lambda: _ended(log) >= count, f"{count} trials have ended")


def _assert_equal(trials: dict[int, Told], others: dict[int, Told]) -> None:
    for number in trials.keys() & others.keys():
        assert trials[number].of_any_machine() == others[number].of_any_machine()


def test_runs_arrive_while_the_study_goes_on_and_ctrl_c_ends_it_at_once(
    work_directory: Path,
    small_market: Path,
    server: str,
    proxy: FaultyProxy,
    start: Start,
) -> None:
    command = _command(small_market, MANY, "comes-back")
    study, log = start(command, proxy.address)
    for fault in (Fault.LOST_ANSWER, Fault.ERROR, Fault.DROP):
        proxy.fault, before = fault, proxy.faults
        wait_until(lambda: proxy.faults > before, f"{fault} was met")  # noqa: B023
    away = _ended(log)
    _wait_for_ended(log, away + 2)
    answered = proxy.answered
    assert proxy.fault is Fault.DROP
    proxy.fault = Fault.NONE
    missed = away + 2
    shown: Any = {"uri": server, "experiment": "comes-back", "in_progress": True}
    wait_until(
        lambda: sum(n < missed for n in told_by_mlflow(**shown)) == missed,
        "the runs of the outage have arrived",
    )
    assert study.poll() is None
    arrived = told_by_mlflow(**shown)
    assert sorted(arrived)[:missed] == list(range(missed))
    trained = told_by_storage(f"sqlite:///{work_directory / 'optuna.db'}", in_progress=True)
    assert arrived == {number: trained[number] for number in arrived}
    assert proxy.answered > answered
    live = _ended(log) + 1  # began when the outage was over: it is written as it goes
    wait_until(lambda: live in told_by_mlflow(**shown), "a trial after the outage has arrived")

    proxy.fault, before = Fault.HANG, proxy.faults
    wait_until(lambda: proxy.faults > before, "a request hangs")
    interrupted = time.monotonic()
    study.send_signal(signal.SIGINT)
    _, stderr = study.communicate(timeout=60)
    assert time.monotonic() - interrupted < 30  # a busy machine's; a summary would take longer
    assert study.returncode == 130
    assert stderr.rstrip().endswith("error: interrupted: run the same command again to go on")
    assert stderr.count("): training goes on") in (1, 2)  # once an outage
    assert stderr.count("MLflow answers again") == 1


def test_a_server_that_never_answers_again_stalls_nothing_and_loses_nothing(
    work_directory: Path,
    small_market: Path,
    server: str,
    proxy: FaultyProxy,
    start: Start,
    mlflow_template: Path,
) -> None:
    command = _command(small_market, experiment="stays-away")
    study, log = start(command, proxy.address)
    proxy.fault = Fault.HANG
    answered = proxy.answered
    _wait_for_ended(log, N_TRIALS)
    # One of the writer of runs and one of the reader of `control` may have been on their way.
    assert proxy.answered <= answered + 2
    _, stderr = study.communicate(timeout=60)
    assert study.returncode == 3, stderr
    last = stderr.rstrip().splitlines()[-1]
    assert last.startswith(f"error: study {log.stem} is finished, but MLflow does not answer")
    assert "run the same command again" in last and str(log) in last

    # The trial log alone brings the runs into another store …
    fresh = work_directory / "fresh.db"
    fresh.write_bytes(mlflow_template.read_bytes())
    store = f"sqlite:///{fresh}"
    written = backfill(
        *(str(log), "--experiment", "fresh"), cwd=work_directory, MLFLOW_TRACKING_URI=store
    )
    assert written.returncode == 0, written.stderr
    # … and the same command into the server that is back.
    proxy.fault = Fault.NONE
    again = project(*command, cwd=work_directory, MLFLOW_TRACKING_URI=proxy.address)
    assert again.returncode == 0, again.stderr
    trials = check_whole(work_directory, N_TRIALS, mlflow_uri=server, experiment="stays-away")
    assert told_by_mlflow(store, "fresh") == trials
    for told in trials.values():
        assert set(told.params) == {*Param} - {Param.WARMUP_STEPS}
        assert {*told.metrics, *told.curves} == {*Metric} - {Metric.SKILL_ADJUSTED}
        assert all(len(points) == 4 for points in told.curves.values())


@pytest.mark.long
def test_a_real_server_is_stopped_and_started_again(
    work_directory: Path, small_market: Path, start: Start, undisturbed: dict[int, Told]
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = _command(small_market, 60)
    with mlflow_server(work_directory, port):
        study, log = start(command, address)
        _wait_for_ended(log, 1)
    away = _ended(log)
    _wait_for_ended(log, away + 3)
    with mlflow_server(work_directory, port):
        wait_until(
            lambda: len(told_by_mlflow(address, in_progress=True)) >= away + 3,
            "the runs have arrived",
        )
        assert study.poll() is None, "it came back too late to test anything"
        _, stderr = study.communicate(timeout=TIMEOUT_SECONDS)
        assert study.returncode == 0, stderr
        trials = check_whole(work_directory, 60, mlflow_uri=address)
    assert stderr.count("MLflow does not answer since") == 1
    assert stderr.count("MLflow answers again") == 1
    _assert_equal(trials, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.DROP, Fault.LOST_ANSWER, Fault.HANG])
def test_a_fault_of_some_trials_leaves_no_trace(
    work_directory: Path,
    small_market: Path,
    server: str,
    proxy: FaultyProxy,
    start: Start,
    undisturbed: dict[int, Told],
    fault: Fault,
) -> None:
    experiment = f"fault-{fault.name}"
    command = _command(small_market, 20, experiment)
    study, log = start(command, proxy.address)
    for _ in range(2):
        proxy.fault, before = fault, proxy.faults
        wait_until(lambda: proxy.faults > before, f"{fault} was met")  # noqa: B023
        _wait_for_ended(log, _ended(log) + 2)
        proxy.fault = Fault.NONE
        answered = proxy.answered
        wait_until(lambda: proxy.answered > answered, "it is asked again")  # noqa: B023
    _, stderr = study.communicate(timeout=TIMEOUT_SECONDS)
    assert study.returncode == 0, stderr
    trials = check_whole(work_directory, 20, mlflow_uri=server, experiment=experiment)
    _assert_equal(trials, undisturbed)


@pytest.mark.long
def test_a_slow_server_may_finish(
    work_directory: Path,
    small_market: Path,
    server: str,
    proxy: FaultyProxy,
    start: Start,
    undisturbed: dict[int, Told],
) -> None:
    command = _command(small_market, experiment="slow")
    study, _ = start(command, proxy.address)
    proxy.fault, proxy.delay_seconds = Fault.DELAY, 2.0
    _, stderr = study.communicate(timeout=TIMEOUT_SECONDS)
    assert study.returncode == 0, stderr
    trials = check_whole(work_directory, N_TRIALS, mlflow_uri=server, experiment="slow")
    _assert_equal(trials, undisturbed)


@pytest.mark.long
def test_a_trial_that_is_refused_is_named_and_holds_nothing_up(
    work_directory: Path, small_market: Path, server: str, proxy: FaultyProxy, start: Start
) -> None:
    command = _command(small_market, experiment="refused")
    proxy.refused_text = b'"key": "trial_number", "value": "2"'
    proxy.fault = Fault.REFUSE_TRIAL
    study, _ = start(command, proxy.address)
    _, stderr = study.communicate(timeout=TIMEOUT_SECONDS)
    assert study.returncode == 3, stderr
    last = stderr.rstrip().splitlines()[-1]
    assert "but MLflow refuses trial 2 (INVALID_PARAMETER_VALUE: not this one)" in last
    assert sorted(told_by_mlflow(server, "refused")) == [0, 1, 3, 4, 5]
    proxy.fault = Fault.NONE
    again = project(*command, cwd=work_directory, MLFLOW_TRACKING_URI=proxy.address)
    assert again.returncode == 0, again.stderr
    check_whole(work_directory, N_TRIALS, mlflow_uri=server, experiment="refused")


@pytest.mark.long
def test_a_store_that_another_process_locks_is_an_outage(
    work_directory: Path, small_market: Path, start: Start, undisturbed: dict[int, Told]
) -> None:
    store = work_directory / "mlflow.db"
    study, log = start(_command(small_market), f"sqlite:///{store}")
    holder = sqlite3.connect(store, timeout=60, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    _wait_for_ended(log, N_TRIALS)
    holder.execute("ROLLBACK")
    holder.close()
    _, stderr = study.communicate(timeout=TIMEOUT_SECONDS)
    assert study.returncode == 0, stderr
    assert "Traceback" not in stderr
    _assert_equal(check_whole(work_directory, N_TRIALS), undisturbed)

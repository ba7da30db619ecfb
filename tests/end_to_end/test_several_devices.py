"""`mlproject study --device cpu,cpu`: every trial in two processes, whatever becomes of them."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch

from tests.end_to_end.launches import Launch
from tests.end_to_end.processes import is_alive, start_project, wait_until

EPOCHS = 20
STARTING_SECONDS = 300  # two trials, each with processes to start


@pytest.fixture
def two_cores() -> Iterator[None]:
    """torch as on a machine with two cores, where one process cuts a batch as two do."""
    cores = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(cores)


def _command(market: Path, device: str, n_trials: int) -> tuple[str, ...]:
    return (
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(n_trials), "--max-epochs", str(EPOCHS), "--device", device),
    )


def _log(directory: Path) -> str:
    paths = (directory / "trial_logs").glob("*.log")
    return "".join(path.read_text() for path in paths)


def _curve(log: str, trial: int) -> list[float]:
    return [
        float(loss) for loss in re.findall(rf"Trial {trial} epoch .* val_loss=([0-9.]+), ", log)
    ]


def _fork_server(study: int) -> psutil.Process:
    """The process that forks those of the trials."""
    children = psutil.Process(study).children()
    (server,) = [child for child in children if "forkserver" in " ".join(child.cmdline())]
    return server


@pytest.mark.usefixtures("two_cores")
def test_the_curves_are_those_of_one_device_and_a_process_that_dies_costs_its_trial(
    command: Callable[..., tuple[int, str, str]],
    work_directory: Path,
    small_market: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = tmp_path_factory.mktemp("two_devices")
    (elsewhere / "mlflow.db").write_bytes((work_directory / "mlflow.db").read_bytes())
    code, _, error = command(*_command(small_market, "cpu", 1))
    assert code == 0, error
    alone = _log(work_directory)

    study = start_project(*_command(small_market, "cpu,cpu", 3), cwd=elsewhere, OMP_NUM_THREADS="2")
    _follow(study, elsewhere, _curve(alone, 0))


def _follow(study: Launch, directory: Path, first_curve: list[float]) -> None:
    wait_until(lambda: "Trial 1 epoch 1" in _log(directory), "trial 1 trains", STARTING_SECONDS)
    assert len(first_curve) > 1
    assert _curve(_log(directory), 0) == pytest.approx(first_curve, abs=1e-5)

    server = _fork_server(study.pid)
    killed, _other = server.children()
    killed.kill()
    wait_until(lambda: "Trial 1 ended" in _log(directory), "trial 1 has failed")
    (ended,) = re.findall("Trial 1 ended: .*", _log(directory))
    assert "state=FAIL" in ended
    assert re.search("ProcessFailed: process [12] of 2, on cpu, was killed by SIGKILL", ended)

    wait_until(lambda: "Trial 2 epoch 1" in _log(directory), "the study goes on", STARTING_SECONDS)
    assert _fork_server(study.pid) == server
    processes = [server, *server.children()]
    assert len(processes) == 3
    for process in (*processes, study):  # Ctrl-C, which all processes of a terminal get
        process.send_signal(signal.SIGINT)
    _, stderr = study.communicate(timeout=60)
    assert study.returncode == 130, stderr
    assert "interrupted" in re.findall("Trial 2 ended: .*", _log(directory))[0]
    wait_until(lambda: not any(map(is_alive, processes)), "its processes have ended")

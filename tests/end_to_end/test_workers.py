"""Many workers through Ray: real processes, real kills, and one study that stays true."""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from mlproject.experiments.workers import settings
from mlproject.models.arch_grid import CURRENT_GRID_VERSION, architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.models.extremes import distinct_extremes
from mlproject.tracking.names import PROCESS_DIED, Metric, Tag
from tests.end_to_end.postgres import postgres
from tests.end_to_end.processes import (
    TIMEOUT_SECONDS,
    environment,
    free_port,
    is_alive,
    mlflow_server,
    project,
    start_project,
    wait_until,
)

STUDY = "phase6a_100k_h3_threshold_1pct"
GRID = architecture_grid(parse_budget("100k"), 25, CURRENT_GRID_VERSION)
WORKER_ATTR = "worker"

Command = Callable[..., tuple[int, str, str]]


def _command(market: Path, *more: str) -> tuple[str, ...]:
    return ("study", "--budget", "100k", "--horizon", "3", "--data", str(market), *more)


def _log(directory: Path) -> str:
    path = directory / "trial_logs" / f"{STUDY}.log"
    return path.read_text() if path.exists() else ""


def _optuna(directory: Path) -> list[FrozenTrial]:
    if "Trial 0: " not in _log(directory):
        return []  # asked earlier, a file would be made that the launcher is making
    storage = f"sqlite:///{directory / 'optuna.db'}"
    return optuna.load_study(study_name=STUDY, storage=storage).trials


def _workers(trials: list[FrozenTrial]) -> Counter[tuple[int, str]]:
    """How many trials each process ran, by its id and the Ray node it belongs to."""
    told = [re.search(r"process (\d+) of (\w+)", t.user_attrs[WORKER_ATTR]) for t in trials]
    return Counter((int(found[1]), found[2]) for found in told if found)


def _runs(uri: str) -> tuple[list[Run], list[Run]]:
    """Parents and trials."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("phase6a")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    trials = [run for run in runs if Tag.TRIAL_NUMBER in run.data.tags]
    return [run for run in runs if run not in trials], trials


def _assert_whole(
    uri: str,
    trials: list[FrozenTrial],
    log: str,
    n_trials: int,
    *,
    the_launcher_was_killed: bool = False,
) -> list[Run]:
    """Optuna's storage, MLflow and the trial log tell one story of `n_trials` finished trials.

    With the launcher, the last losses of the trials then at work may be lost.
    """
    finished = [t for t in trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(finished) == n_trials
    labels = [t.user_attrs.get(Tag.FORCED_EXTREME) for t in finished]
    forced = Counter(label for label in labels if label is not None)
    assert forced == Counter(list(distinct_extremes(GRID)))
    (parent,), runs = _runs(uri)
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == STUDY
    status = {
        TrialState.COMPLETE: "FINISHED",
        TrialState.PRUNED: "KILLED",
        TrialState.FAIL: "FAILED",
    }
    by_number = {int(run.data.tags[Tag.TRIAL_NUMBER]): run for run in runs}
    assert len(by_number) == len(runs)
    begun = {trial.number: trial for trial in trials if trial.state is not TrialState.WAITING}
    assert {n: run.info.status for n, run in by_number.items()} == {
        n: status[trial.state] for n, trial in begun.items()
    }
    client = MlflowClient(uri)
    for number, run in by_number.items():
        assert log.count(f"Trial {number}: ") == 1
        assert log.count(f"Trial {number} ended: ") == 1
        if the_launcher_was_killed and run.info.status == "FAILED":
            continue
        for name in (Metric.TRAIN_LOSS, Metric.VAL_LOSS):
            logged = re.findall(rf"Trial {number} epoch (\d+): .*{name}=([^,]*?)[,.]?(?: |\n)", log)
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted((p.step, p.value) for p in history) == [
                (int(epoch), float(value)) for epoch, value in logged
            ]
        if run.info.status != "FAILED":
            assert {p.step: p.value for p in history} == begun[number].intermediate_values
    return runs


def _kill_a_worker_at_work(directory: Path) -> FrozenTrial:
    """Kill the process of a trial in progress, and return the trial as it then stands."""
    while True:
        wait_until(lambda: bool(_at_work(directory)), "a sampled trial is at work")
        for trial in _at_work(directory):
            ((pid, _),) = _workers([trial])
            os.kill(pid, signal.SIGSTOP)  # what it has done by now is all it has done
            stands = _optuna(directory)[trial.number]
            if stands.state is TrialState.RUNNING and stands.intermediate_values:
                os.kill(pid, signal.SIGKILL)
                return stands
            os.kill(pid, signal.SIGCONT)


def _at_work(directory: Path) -> list[FrozenTrial]:
    return [
        trial
        for trial in _optuna(directory)
        if trial.state is TrialState.RUNNING
        and trial.intermediate_values
        and Tag.FORCED_EXTREME not in trial.user_attrs
    ]


def test_one_of_three_workers_is_killed_and_nothing_is_lost_or_doubled(
    work_directory: Path, small_market: Path
) -> None:
    command = _command(small_market, "--n-trials", "14", "--max-epochs", "8")
    launcher = start_project(*command, "--workers", "3", cwd=work_directory)
    killed = _kill_a_worker_at_work(work_directory)
    stdout, stderr = launcher.communicate(timeout=TIMEOUT_SECONDS)
    assert launcher.returncode == 0, stderr
    assert re.search(r"time left: .*the study (at most|about) .* with 3 workers", stdout)

    uri = f"sqlite:///{work_directory / 'mlflow.db'}"
    trials = _optuna(work_directory)
    runs = _assert_whole(uri, trials, _log(work_directory), 14)
    assert "a worker died, and Ray restarts it" in stderr
    shown = re.findall(r"trial (\d+) (complete|pruned|failed)\b.*, best ", stderr)
    assert sorted(int(number) for number, _ in shown) == [trial.number for trial in trials]
    assert "Trial " not in stderr
    assert "\r" not in stderr
    assert len(_workers(trials)) >= 3  # the fourth may start too late to find anything to do
    explored = [t for t in trials if Tag.REPLICATE_OF not in t.user_attrs]
    tried_again = sum(Tag.RETRY_OF in trial.user_attrs for trial in explored)
    rates = {trial.params["learning_rate"] for trial in explored}
    assert len(rates) == len(explored) - tried_again
    assert [t.number for t in trials if t.state is TrialState.FAIL] == [killed.number]
    (failed,) = [run for run in runs if run.info.status == "FAILED"]
    assert failed.data.tags[Tag.FAILURE_REASON] == PROCESS_DIED
    (retry,) = [run for run in runs if Tag.RETRY_OF in run.data.tags]
    assert retry.data.tags[Tag.RETRY_OF] == str(killed.number)
    assert retry.data.params == failed.data.params

    # The same study, whoever runs it.
    again = project(*command, cwd=work_directory)
    assert again.returncode == 0, again.stderr
    assert len(_optuna(work_directory)) == len(trials)
    assert len(_runs(uri)[1]) == len(runs)


def test_a_launcher_that_is_interrupted_or_killed_goes_on_with_the_same_command(
    work_directory: Path, small_market: Path
) -> None:
    uri = f"sqlite:///{work_directory / 'mlflow.db'}"
    command = _command(small_market, "--n-trials", "8", "--max-epochs", "16", "--workers", "2")

    launcher = start_project(*command, cwd=work_directory)
    wait_until(lambda: "Trial 1 epoch 1" in _log(work_directory), "two trials at work")
    launcher.send_signal(signal.SIGTERM)
    _, stderr = launcher.communicate(timeout=120)
    assert launcher.returncode == 130
    assert stderr.rstrip().endswith("error: interrupted: run the same command again to go on")
    (parent,), runs = _runs(uri)
    assert parent.info.status == "KILLED"
    stopped = [run for run in runs if run.info.status == "FAILED"]
    assert stopped and {run.info.status for run in runs} <= {"FINISHED", "FAILED"}
    assert {run.data.tags[Tag.FAILURE_REASON] for run in stopped} == {"interrupted"}

    begun = _log(work_directory).count("started=")
    launcher = start_project(*command, cwd=work_directory)
    wait_until(lambda: _log(work_directory).count("started=") > begun + 2, "trials are at work")
    its_own = psutil.Process(launcher.pid).children(recursive=True)
    assert any("TrialWorker" in process.name() + "".join(process.cmdline()) for process in its_own)
    launcher.kill()
    launcher.communicate()
    wait_until(
        lambda: not any(map(is_alive, its_own)), "Ray's processes have ended with the launcher"
    )

    again = project(*command, cwd=work_directory)
    assert again.returncode == 0, again.stderr
    trials = _optuna(work_directory)
    _assert_whole(uri, trials, _log(work_directory), 8, the_launcher_was_killed=True)


@pytest.mark.long
def test_workers_that_die_at_once_every_time_end_the_launch(
    work_directory: Path, small_market: Path
) -> None:
    command = _command(small_market, "--n-trials", "30", "--max-epochs", "20", "--workers", "2")
    launcher = start_project(*command, cwd=work_directory)
    wait_until(lambda: "Trial 1 epoch 1" in _log(work_directory), "two trials at work")

    def has_ended() -> bool:
        for process in psutil.Process(launcher.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "TrialWorker" in " ".join(process.cmdline()):
                    process.kill()
        return launcher.poll() is not None

    wait_until(has_ended, "the launcher gives up", seconds=TIMEOUT_SECONDS)
    _, stderr = launcher.communicate()
    assert launcher.returncode == 1
    assert re.search("error: (a worker died 5 times in a row|Ray cannot start a worker)", stderr)
    assert "Traceback" not in stderr
    (parent,), runs = _runs(f"sqlite:///{work_directory / 'mlflow.db'}")
    assert parent.info.status == "FAILED"
    assert "RUNNING" not in {run.info.status for run in runs}


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[dict[str, str]]:
    """A Ray cluster of two nodes, both on this machine: what the environment says of it."""
    port = free_port()
    env = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "ADDRESS": f"127.0.0.1:{port}",
    }
    try:
        _start_node(env, "--head", "--port", str(port), "--include-dashboard=false")
        _start_node(env, "--address", env["ADDRESS"])
        yield env
    finally:
        for process in psutil.process_iter(["cmdline"]):
            command = " ".join(process.info["cmdline"] or [])
            if "/ray/" in command and str(port) in command:
                process.kill()


def _start_node(env: dict[str, str], *arguments: str) -> None:
    ray = str(Path(sys.executable).with_name("ray"))
    small = ("--num-cpus=2", "--object-store-memory=100000000", "--disable-usage-stats")
    subprocess.run(
        [ray, "start", *small, *arguments],
        env=environment(**env),
        stdout=subprocess.DEVNULL,  # a pipe would be held open by what it starts
        stderr=subprocess.DEVNULL,
        check=True,
    )


def test_two_machines_share_a_study_through_the_storage_proxy(
    two_nodes: dict[str, str], work_directory: Path, small_market: Path
) -> None:
    command = _command(small_market, "--n-trials", "10", "--max-epochs", "20")
    on_cluster = ("--ray-address", two_nodes["ADDRESS"], "--workers")
    gpus = ("2", "--gpus-per-trial", "0.5")
    no_gpu = project(*command, *on_cluster, *gpus, cwd=work_directory, **two_nodes)
    assert no_gpu.returncode == 2
    assert "each needs 1 CPU and 0.5 GPU" in no_gpu.stderr
    assert not (work_directory / "optuna.db").exists()

    # Two workers are given all of the cluster's CPUs, and so a node each.
    study = project(*command, *on_cluster, "2", cwd=work_directory, **two_nodes)
    assert study.returncode == 0, study.stderr
    trials = _optuna(work_directory)
    assert len({node for _, node in _workers(trials)}) == 2
    uri = f"sqlite:///{work_directory / 'mlflow.db'}"
    _assert_whole(uri, trials, _log(work_directory), 10)


@pytest.mark.long
def test_a_team_s_stores_take_four_workers_on_two_machines(
    two_nodes: dict[str, str], tmp_path: Path, small_market: Path
) -> None:
    command = _command(small_market, "--n-trials", "10", "--max-epochs", "10")
    on_cluster = ("--ray-address", two_nodes["ADDRESS"], "--workers", "4")
    with postgres() as database:
        runs, url = database.new_database("runs"), database.new_database("trials")
        with mlflow_server(tmp_path, free_port(), runs) as address:
            env = {**two_nodes, "MLFLOW_TRACKING_URI": address, "MLPROJECT_STORAGE": url}
            study = project(*command, *on_cluster, cwd=tmp_path, **env)
            assert study.returncode == 0, study.stderr
            trials = optuna.load_study(study_name=STUDY, storage=url).trials
            assert len({node for _, node in _workers(trials)}) == 2
            _assert_whole(address, trials, _log(tmp_path), 10)
            audit = project("audit", "--planned-trials", "10", cwd=tmp_path, **env)
            # Trials, params, failed, unfinished, diverged, values, extremes, contradictions.
            clean = rf"{STUDY} +10/10 +· +· +· +· +\S+ +· +·"
            assert re.search(clean, audit.stdout), audit.stdout
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", "0"), "workers is 0: it must be at least 1"),
        (
            ("--workers", "2", "--gpus-per-trial", "-1"),
            "gpus_per_trial is -1: it must be 0 or more",
        ),
        (("--workers", "2", "--gpus-per-trial", "nan"), "gpus_per_trial is nan"),
        (("--workers", "2", "--gpus-per-trial", "1.5"), "a part of one GPU, or whole ones"),
        (("--workers", "2", "--gpus-per-trial", "some"), "give a number such as 1 or 0.5"),
        (("--workers", "2", "--device", "cuda:1"), "device cuda:1 names what Ray is to choose"),
        (("--workers", "2", "--device", "cpu,cpu"), "device cpu,cpu names what Ray is to choose"),
        (("--workers", "2", "--device", "cpu", "--gpus-per-trial", "1"), "but device is cpu"),
        (("--ray-address", "127.0.0.1:1"), "no Ray answers at ray_address '127.0.0.1:1'"),
        (("--ray-address", "127.0.0.1:99999"), "no Ray answers at ray_address '127.0.0.1:99999'"),
        (("--ray-address", "nowhere"), "ray_address is 'nowhere': give host:port"),
        (("--ray-address", "ray://10.0.0.1:10001"), "ray_address is 'ray://10.0.0.1:10001': give"),
    ],
)
def test_workers_that_cannot_be_had_are_one_line_and_nothing_is_written(
    command: Command,
    work_directory: Path,
    small_market: Path,
    options: tuple[str, ...],
    said: str,
) -> None:
    code, _, line = command(*_command(small_market), *options)
    assert code == 2
    assert line.startswith("error: ")
    assert said in line
    assert not (work_directory / "optuna.db").exists()
    assert not (work_directory / "trial_logs").exists()


def test_without_the_extra_one_line_says_how_to_get_it(
    command: Command, small_market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == "ray" else name)
    code, _, line = command(*_command(small_market), "--workers", "2")
    assert code == 2
    assert "needs Ray, which is not installed: pip install '.[ray]'" in line


def test_one_worker_needs_nothing_of_ray() -> None:
    """Importing it takes seconds, and not everybody has it."""
    assert not _imports("mlproject.experiments.study", "ray")


def test_a_worker_needs_nothing_of_mlflow() -> None:
    """The launcher alone writes to it, and importing it would hold up each worker's start."""
    assert not _imports("mlproject.experiments.workers.trial_worker", "mlflow")


def _imports(module: str, other: str) -> bool:
    code = f"import sys, {module}; print({other!r} in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return {"True\n": True, "False\n": False}[said.stdout]

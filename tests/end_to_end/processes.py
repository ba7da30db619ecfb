"""Real processes of this project, started as a user starts them."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "experiments" / "phase6a"
_PROJECT = [sys.executable, "-m", "mlproject"]
_RECOVERY = [sys.executable, "-m", "recovery"]
_MLFLOW = [str(Path(sys.executable).with_name("mlflow"))]
TIMEOUT_SECONDS = 600


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, as a user's shell would have it, plus `changes`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **changes,
    }


def project(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m mlproject …`` to its end."""
    return _run([*_PROJECT, *arguments], cwd, env)


def backfill(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m recovery backfill …`` to its end."""
    return _run([*_RECOVERY, "backfill", *arguments], cwd, env)


def script(name: str, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``python experiments/phase6a/<name> …`` to its end."""
    return _run([sys.executable, str(SCRIPTS / name), *arguments], cwd, env)


def mlflow_run(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """``mlflow run <repository> --env-manager=local …`` to its end."""
    command = [*_MLFLOW, "run", str(REPOSITORY), "--env-manager=local", *arguments]
    return _run(command, cwd, env)


def _run(command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def start_project(*arguments: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    """``python -m mlproject …``, left running."""
    return subprocess.Popen(
        [*_PROJECT, *arguments],
        cwd=cwd,
        env=environment(**env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def mlflow_server(directory: Path, port: int, store: str | None = None) -> Iterator[str]:
    """A tracking server with its UI, by default over ``mlflow.db`` of a directory; its address."""
    store = store or f"sqlite:///{directory / 'mlflow.db'}"
    process = subprocess.Popen(
        [
            *(*_MLFLOW, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", store),
        ],
        cwd=directory,
        # Its job runners are eight more processes, and nothing here is a job.
        env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), "the MLflow server answers")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Poll until something happened; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.05)

"""Real processes of this project, as a user starts them, and MLflow's own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.end_to_end.fork_server import CONSTANTS
from tests.end_to_end.launches import (
    REPOSITORY,
    TIMEOUT_SECONDS,
    Completed,
    Launch,
    environment,
    fork_server,
)

SERVERS = "servers"
"""The xdist group of tests that share servers, so that one process starts them."""
SCRIPTS = REPOSITORY / "experiments" / "phase6a"
PROJECT = (sys.executable, "-m", "mlproject")
_MLFLOW = str(Path(sys.executable).with_name("mlflow"))
MLFLOW_RUN = (_MLFLOW, "run", str(REPOSITORY), "--env-manager=local")


def project(*arguments: str, cwd: Path, **env: str) -> Completed:
    """``python -m mlproject …`` to its end."""
    return start_project(*arguments, cwd=cwd, **env).complete()


def start_project(*arguments: str, cwd: Path, **env: str) -> Launch:
    """``python -m mlproject …``, left running."""
    return Launch(["-m", "mlproject", *arguments], cwd, environment(**env))


def start_backfill(*arguments: str, cwd: Path, **env: str) -> Launch:
    """``python -m recovery backfill …``, left running."""
    return Launch(["-m", "recovery", "backfill", *arguments], cwd, environment(**env))


def backfill(*arguments: str, cwd: Path, **env: str) -> Completed:
    """``python -m recovery backfill …`` to its end."""
    return start_backfill(*arguments, cwd=cwd, **env).complete()


def script(name: str, *arguments: str, cwd: Path, **env: str) -> Completed:
    """``python experiments/phase6a/<name> …`` to its end."""
    return Launch([str(SCRIPTS / name), *arguments], cwd, environment(**env)).complete()


def mlflow_run(*arguments: str, cwd: Path, **env: str) -> Completed:
    """``mlflow run <repository> --env-manager=local …`` to its end.

    The command of MLproject is run by a shell, which finds the stand-in for ``python``.
    """
    env = environment(**env)
    env["PATH"] = f"{fork_server().stand_ins}{os.pathsep}{env['PATH']}"
    return Launch([*MLFLOW_RUN, *arguments], cwd, env).complete()


def constants(values: Mapping[str, object]) -> dict[str, str]:
    """The environment of a fork in which constants, ``module:NAME``, have other values."""
    return {CONSTANTS: json.dumps(values)}


def start_unforked(*command: str, cwd: Path, **env: str) -> "subprocess.Popen[str]":
    """`PROJECT …` or `MLFLOW_RUN …` in a Python that imports everything itself, left running."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def unforked(*command: str, cwd: Path, **env: str) -> Completed:
    """`PROJECT …` or `MLFLOW_RUN …` in a Python that imports everything itself, to its end."""
    process = start_unforked(*command, cwd=cwd, **env)
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return Completed(process.args, process.returncode, out, err)


@contextmanager
def mlflow_server(directory: Path, port: int, store: str | None = None) -> Iterator[str]:
    """A tracking server with its UI, by default over ``mlflow.db`` of a directory; its address."""
    store = store or f"sqlite:///{directory / 'mlflow.db'}"
    where = ("--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store)
    # Its job runners are eight more processes, and nothing here is a job.
    env = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
    process = Launch([_MLFLOW, "server", *where, "--workers", "1"], directory, env)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), "the MLflow server answers")
        yield address
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
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


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there and no zombie."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Poll until something happened; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
        time.sleep(0.05)

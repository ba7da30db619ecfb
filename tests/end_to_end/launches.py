"""Processes of this project, forked where everything is imported already (`fork_server`)."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from tests.end_to_end import fork_request
from tests.end_to_end.fork_server import READY

REPOSITORY = Path(__file__).parents[2]
TIMEOUT_SECONDS = 600

Completed = subprocess.CompletedProcess[str]


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


class ForkServer:
    """The fork server of this process; it ends with it."""

    def __init__(self) -> None:
        directory = Path(tempfile.mkdtemp(prefix="forks-"))
        self.address = str(directory / "socket")
        self.stand_ins = directory / "bin"
        """A directory for the PATH, in which ``python`` is forked too."""
        command = [sys.executable, "-I", "-S", fork_request.__file__, self.address]
        self.stand_ins.mkdir()
        python = self.stand_ins / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        python.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.end_to_end.fork_server", self.address],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == READY


@cache
def fork_server() -> ForkServer:
    """The server, started when it is first asked for."""
    return ForkServer()


class Launch:
    """``python <arguments>`` in a process of its own, with the methods of a `subprocess.Popen`."""

    running: list["Launch"] = []  # noqa: RUF012
    """Those whose end nobody has seen yet."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._out = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._err = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        with Path(os.devnull).open() as nothing:
            streams = [stream.fileno() for stream in (nothing, self._out, self._err)]
            self._connection, self.pid = fork_request.ask(
                fork_server().address, arguments, str(cwd), env, streams
            )
        self.running.append(self)

    def poll(self) -> int | None:
        """How it ended, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = TIMEOUT_SECONDS) -> int:
        """Wait for its end: the exit code, or minus the signal that killed it."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            with self._connection:
                self.returncode = fork_request.ended(self._connection)
            self.running.remove(self)
        return self.returncode

    def communicate(self, timeout: float = TIMEOUT_SECONDS) -> tuple[str, str]:
        """Wait for its end: what it wrote to standard output and standard error."""
        self.wait(timeout)
        return _read(self._out), _read(self._err)

    def complete(self) -> Completed:
        """Wait for its end."""
        out, err = self.communicate()
        return Completed(self.args, self.wait(), out, err)

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, which)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self.send_signal(signal.SIGKILL)


def _read(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read()

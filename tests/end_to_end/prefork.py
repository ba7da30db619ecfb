"""Many launches of this project, without the seconds that each import of torch and MLflow takes.

`Launcher` starts one process that imports everything and then forks: each launch is a process of
its own, with its own directory and environment, and may be killed like any other.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.end_to_end.processes import REPOSITORY, environment


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a launch ended."""

    returncode: int
    """The exit code, or minus the signal that killed it."""
    stderr: str


class Launcher:
    """Starts one launch at a time; one that a test left running is killed by the next."""

    def __init__(self, requests: IO[str], answers: IO[str], stderr: Path) -> None:
        self._requests = requests
        self._answers = answers
        self._stderr = stderr
        self._running: int | None = None

    def start(self, *arguments: str, cwd: Path, **env: str) -> int:
        """``python -m mlproject …``, left running; its process id."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._running, signal.SIGKILL)
            self.wait()
        request = {"arguments": arguments, "cwd": str(cwd), "env": env}
        request["stderr"] = str(self._stderr)
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        self._running = int(self._answers.readline())
        return self._running

    def wait(self) -> Ended:
        """Wait for the launch that was started last."""
        status = int(self._answers.readline())
        self._running = None
        return Ended(
            returncode=os.waitstatus_to_exitcode(status),
            stderr=self._stderr.read_text(errors="replace"),
        )

    def run(self, *arguments: str, cwd: Path, **env: str) -> Ended:
        """``python -m mlproject …`` to its end."""
        self.start(*arguments, cwd=cwd, **env)
        return self.wait()


@contextmanager
def launcher() -> Iterator[Launcher]:
    """A launcher that is ready, and with what it started gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.end_to_end.prefork"],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        with tempfile.TemporaryDirectory() as directory:
            yield Launcher(process.stdin, process.stdout, Path(directory) / "stderr.txt")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _serve() -> None:
    import mlproject.experiments.study  # noqa: F401
    from mlproject.training.system.environment import set_torch_environment

    set_torch_environment()
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _launch(json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(status, flush=True)


def _launch(request: dict[str, Any]) -> None:
    from mlproject.cli import main as cli

    os.chdir(request["cwd"])
    os.environ.update(request["env"])
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for source, target in ((null, 0), (null, 1), (errors, 2)):
        os.dup2(source, target)
    sys.argv = ["mlproject", *request["arguments"]]
    code = 1
    try:
        cli.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()

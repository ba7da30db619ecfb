"""A real PostgreSQL of a test's own, reached over a Unix socket that nobody else can open."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.end_to_end.processes import wait_until

MISSING = "needs PostgreSQL: apt-get install postgresql"
_INSTALLED = Path("/usr/lib/postgresql")
_SUPERUSER = "postgres"
_NO_DURABILITY = ("-c", "fsync=off")  # the machine will not lose its power for a test's sake


class Postgres:
    """A server that runs."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory

    def new_database(self, name: str) -> str:
        """Create a database and return its URL, as MLflow and Optuna take it."""
        command = [self._binaries / "createdb", "-h", self._directory, "-U", _SUPERUSER, name]
        subprocess.run(command, check=True, capture_output=True)
        return f"postgresql://{_SUPERUSER}@/{name}?host={self._directory}"

    def dump(self, name: str) -> str:
        """Everything that a database holds."""
        command = [self._binaries / "pg_dump", "-h", self._directory, "-U", _SUPERUSER, name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start PostgreSQL in a directory of its own; AssertionError where it is not installed."""
    binaries = _find_binaries()
    # Not pytest's own directory: root's is closed to the user whom PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        directory = Path(name)
        user = _user()
        if user is not None:
            os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
        data = directory / "data"
        initdb = ["-D", data, "-U", _SUPERUSER, "--auth=trust", "--no-sync", "--encoding=UTF8"]
        subprocess.run(
            [binaries / "initdb", *initdb],
            user=user,
            cwd=directory,
            check=True,
            capture_output=True,
        )
        # Sockets only, in a directory that is closed to everybody else.
        listen = ["-c", "listen_addresses=", "-k", directory]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *listen, *_NO_DURABILITY],
                user=user,
                cwd=directory,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(lambda: _answers(binaries, directory), "PostgreSQL answers")
            yield Postgres(binaries, directory)
        finally:
            process.send_signal(signal.SIGINT)  # SIGTERM waits for clients to leave
            process.wait(timeout=60)


def _find_binaries() -> Path:
    """Debian keeps them off the PATH, one directory for each version."""
    versions = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    found = versions[-1] if versions else on_path and Path(on_path).resolve()
    assert found, MISSING
    return found.parent


def _user() -> str | None:
    """Whom to run it as: it refuses to be run by root."""
    return _SUPERUSER if os.geteuid() == 0 else None


def _answers(binaries: Path, directory: Path) -> bool:
    asked = subprocess.run(
        [binaries / "pg_isready", "-q", "-h", directory, "-U", _SUPERUSER], check=False
    )
    return asked.returncode == 0

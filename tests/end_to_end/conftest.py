"""Everything here drives real processes. What takes seconds to start is started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.launches import Launch
from tests.end_to_end.postgres import Postgres, postgres
from tests.end_to_end.processes import free_port, mlflow_server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture(autouse=True)
def nothing_outlives_its_test() -> Iterator[None]:
    """What a test left running is killed."""
    before = list(Launch.running)
    yield
    for launch in [launch for launch in Launch.running if launch not in before]:
        launch.kill()
        launch.wait()


@pytest.fixture(scope="session")
def server_directory(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Path:
    """Where the server keeps its store, ``mlflow.db``, and its artifacts."""
    directory = tmp_path_factory.mktemp("server")
    (directory / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    return directory


@pytest.fixture(scope="session")
def server(server_directory: Path) -> Iterator[str]:
    """A tracking server that nobody stops: each test has an experiment of its own there."""
    with mlflow_server(server_directory, free_port()) as address:
        yield address


@pytest.fixture
def server_store(server_directory: Path) -> str:
    """The server's store, for those who write to it past the server."""
    return f"sqlite:///{server_directory / 'mlflow.db'}"


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A PostgreSQL server that nobody stops: each test has databases of its own there."""
    with postgres() as server:
        yield server

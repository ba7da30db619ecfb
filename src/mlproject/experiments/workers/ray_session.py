"""Ray, started on this machine or reached at its address, for as long as a launch takes."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ray
import torch

import mlproject
from mlproject.experiments.workers.resources import Node
from mlproject.experiments.workers.settings import BadWorkers, WorkerSettings
from mlproject.text.credentials import first_line

ANSWER_SECONDS = 5.0
OBJECT_STORE_BYTES = 200 * 2**20
"""Ray would take a third of the memory, for a data set of a few megabytes."""

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class RaySession:
    """A Ray that runs."""

    host: str
    """The address under which its workers reach this process."""

    @property
    def nodes(self) -> list[Node]:
        """The machines that are there now."""
        return [_node(row) for row in ray.nodes() if row["Alive"]]


@contextmanager
def ray_session(settings: WorkerSettings) -> Iterator[RaySession]:
    """Start Ray on this machine, or connect to the cluster at the address that is given.

    Workers get this very program from here, whatever lies on their machines.

    Raises:
        BadWorkers: Ray does not start, or no cluster that can be used answers.
    """
    address = settings.ray_address
    if address is not None:
        _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here: dict[str, Any] = {
        "num_cpus": max(settings.workers, torch.get_num_threads()),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            runtime_env={
                "py_modules": [str(Path(mlproject.__file__).parent)],
                "worker_process_setup_hook": (
                    "mlproject.training.system.environment.set_torch_environment"
                ),
            },
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else here),
        )
    except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        where, advice = "on this machine", "use workers=1, or see docs/workers.md"
        if address is not None:
            where = f"at {address}"
            advice = (
                "a launch runs on a machine of the cluster, with the cluster's token and its "
                "versions of Ray and Python (docs/workers.md)"
            )
        raise BadWorkers(f"Ray {where} cannot be used ({first_line(error)}): {advice}") from error
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray sets its own
    try:
        yield RaySession(host=ray.util.get_node_ip_address() if address else _LOOPBACK)
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes, and then ends the process."""
    if address == "auto":
        return
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
    except (OSError, OverflowError, grpc.FutureTimeoutError) as error:
        raise BadWorkers(
            f"no Ray answers at ray_address {address!r}: start it there with "
            "'ray start --head --port=6379', or give another host:port"
        ) from error


def _node(row: dict[str, object]) -> Node:
    resources = row["Resources"]
    assert isinstance(resources, dict)
    return Node(
        node_id=str(row["NodeID"]),
        cpus=int(resources.get("CPU", 0)),
        gpus=int(resources.get("GPU", 0)),
    )

"""A process that has imported everything, and forks a process for each command line it is given.

Each fork is a process of its own, with its own directory, environment and standard streams. It is
sent signals and killed like any other, and ends as Python ends. What it spares is the seconds that
each import of torch and MLflow takes; what it cannot show is what happens at an import.

Run as a module this is the server. It ends, with all its forks, when its standard input ends.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from typing import Any

from mlproject.training.system.environment import set_torch_environment
from tests.end_to_end import fork_request

READY = "ready\n"
CONSTANTS = "CONSTANTS_OF_FORKS"
"""A variable of the environment, JSON: what constants, ``module:NAME``, are in a fork."""


_IMPORTED = (
    "great_expectations",
    "matplotlib.backends.backend_agg",
    "mlflow.cli",
    "mlflow.pyfunc",
    "optuna.visualization.matplotlib",
    "plotly.graph_objects",
    "torch._dynamo",  # by the first optimiser of a process
    "mlproject.analysis.audit",
    "mlproject.analysis.evaluation",
    "mlproject.analysis.report",
    "mlproject.analysis.supplement.prepare",
    "mlproject.experiments.study",
    "recovery.write.backfill",
)
"""Not Ray, which reads from the environment how it is to authenticate when it is imported."""


def _serve(address: str) -> dict[str, Any]:
    """Fork for every request. In a fork, return the request."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print(READY, end="", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fd == 0:
                    os.killpg(0, signal.SIGKILL)
                elif key.fd == listener.fileno():
                    connection, _ = listener.accept()
                    request, streams = fork_request.receive(connection)
                    pid = os.fork()
                    if pid == 0:
                        for target, stream in enumerate(streams):
                            os.dup2(stream, target)
                        return request
                    for stream in streams:
                        os.close(stream)
                    fork_request.answer(connection, pid)
                    its_end = os.pidfd_open(pid)
                    running[its_end] = pid, connection
                    selector.register(its_end, selectors.EVENT_READ)
                else:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    pid, connection = running.pop(key.fd)
                    _, status = os.waitpid(pid, 0)
                    with contextlib.suppress(OSError), connection:  # nobody may care any more
                        fork_request.answer(connection, status)


def _become(request: dict[str, Any]) -> None:
    """Be ``python <arguments>`` to its end: a script, or a module after ``-m``."""
    import torch

    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for name, value in json.loads(os.environ.get(CONSTANTS, "{}")).items():
        module, _, constant = name.partition(":")
        setattr(importlib.import_module(module), constant, value)
    if "OMP_NUM_THREADS" in os.environ:  # it is read when OpenMP is loaded
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    first, *rest = request["arguments"]
    if first == "-m":
        module, *rest = rest
        sys.argv = [module, *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    set_torch_environment()  # before anything imports torch
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    _become(_serve(sys.argv[1]))

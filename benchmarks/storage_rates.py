"""How many workers a storage carries: epochs reported per second, and what each costs it.

    python benchmarks/storage_rates.py [--seconds 5] [--running 1 16 1000]

A worker's epoch is one `report` and one `should_prune` in a study of 100 finished trials in which
as many trials run at once as `--running` says. One and two processes report as fast as they can
through SQLite, through Optuna's gRPC proxy in front of it, and through PostgreSQL where it is
installed; and log two metrics to an `mlflow server`. What a server can take follows from the CPU
time that an epoch costs *it*: the clients would run on other machines.
"""

import argparse
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

FINISHED = 100
EPOCHS = 20
EPOCH_SECONDS = 14 * 0.147
"""A training epoch of the embedded bars at 64 × 32, 2 heads, on two cores."""
STUDY = "rates"

Server = tuple[str, Callable[[], float]]
"""Where clients find it, and the CPU seconds that it has used."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--running", type=int, nargs="+", default=[1, 16, 1000])
    arguments = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    warnings.simplefilter("ignore")
    head = ["", "trials at once", "epochs/s, 1 client", "2 clients", "server CPU, ms an epoch"]
    head += ["client CPU, ms an epoch", "workers for one core of the server"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for name, serve in {"SQLite": sqlite, "gRPC proxy": proxy, "PostgreSQL": postgresql}.items():
        for running in arguments.running:
            with serve(running) as server:
                _row(name, f"{running:,}", server, report_epochs, arguments.seconds)
    with mlflow_server() as server:
        _row("MLflow server, two metrics", "", server, log_epochs, arguments.seconds)


def _row(
    name: str, running: str, server: Server, work: Callable[..., None], seconds: float
) -> None:
    where, cpu_seconds = server
    rates = []
    for clients in (1, 2):
        before = cpu_seconds()
        epochs, client_cpu, lasted = _clients(clients, work, where, seconds)
        server_cpu = cpu_seconds() - before
        rates.append(epochs / lasted)
    # A file has no server: what it costs, it costs the client.
    carried = EPOCH_SECONDS / ((server_cpu or client_cpu) / epochs)
    print(
        f"| {name} | {running} | {rates[0]:.1f} | {rates[1]:.1f} "
        f"| {1000 * server_cpu / epochs:.1f} | {1000 * client_cpu / epochs:.1f} | {carried:,.0f} |",
        flush=True,
    )


def _clients(
    count: int, work: Callable[..., None], where: str, seconds: float
) -> tuple[int, float, float]:
    """Epochs in all, CPU seconds of the clients, and how long it took."""
    context = multiprocessing.get_context("spawn")
    begin, done = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=work, args=(where, seconds, begin, done)) for _ in range(count)
    ]
    for process in processes:
        process.start()
    found = [done.get(timeout=300) for _ in processes]
    for process in processes:
        process.join()
    return sum(f[0] for f in found), sum(f[1] for f in found), max(f[2] for f in found)


def _repeat(epoch: Callable[[int], None], seconds: float, begin: Any, done: Any) -> None:
    epoch(0)
    begin.wait()
    began, cpu, count = time.perf_counter(), time.process_time(), 0
    while (lasted := time.perf_counter() - began) < seconds:
        count += 1
        epoch(count)
    done.put((count, time.process_time() - cpu, lasted))


def report_epochs(where: str, seconds: float, begin: Any, done: Any) -> None:
    """A worker: trial after trial, reports as fast as the storage takes them."""
    import optuna

    from mlproject.search.sampler import make_pruner
    from mlproject.training.settings import CURRENT_SEARCH_SPACE

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage: Any = where
    if where.startswith("localhost:"):
        storage = optuna.storages.GrpcStorageProxy(port=int(where.partition(":")[2]))
    pruner = make_pruner(CURRENT_SEARCH_SPACE)
    study = optuna.load_study(study_name=STUDY, storage=storage, pruner=pruner)
    trials: list[optuna.Trial] = []

    def epoch(count: int) -> None:
        if count % EPOCHS == 0:
            trials[:] = [study.ask()]
        trials[0].report(0.5, count % EPOCHS + 1)
        trials[0].should_prune()
        if count % EPOCHS == EPOCHS - 1:
            study.tell(trials[0], 0.5)

    _repeat(epoch, seconds, begin, done)


def log_epochs(where: str, seconds: float, begin: Any, done: Any) -> None:
    """A launcher: the losses of an epoch, one call each."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient(where)
    run_id = client.create_run("0").info.run_id

    def epoch(count: int) -> None:
        names = ("train_loss", "val_loss")
        client.log_batch(run_id, [Metric(name, 0.5, int(time.time()), count) for name in names])

    _repeat(epoch, seconds, begin, done)


def fill(storage: Any, running: int) -> None:
    """A study with its history, and with other trials at work."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=STUDY, storage=storage)
    distributions = {"rate": optuna.distributions.FloatDistribution(0, 1)}
    for number in range(FINISHED + running - 1):
        is_finished = number < FINISHED
        trial = optuna.create_trial(
            state=optuna.trial.TrialState.COMPLETE
            if is_finished
            else optuna.trial.TrialState.RUNNING,
            value=0.5 if is_finished else None,
            params={"rate": 0.5},
            distributions=distributions,
            intermediate_values=dict.fromkeys(range(1, EPOCHS + 1), 0.5),
        )
        study.add_trial(trial)


@contextmanager
def sqlite(running: int) -> Iterator[Server]:
    """A file, set up as the program does."""
    import optuna

    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/optuna.db"
        storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        fill(storage, running)
        yield url, lambda: 0.0


@contextmanager
def proxy(running: int) -> Iterator[Server]:
    """Optuna's gRPC proxy in this process, in front of a SQLite file."""
    import grpc
    import optuna
    from optuna.storages._grpc.auto_generated import api_pb2_grpc
    from optuna.storages._grpc.servicer import OptunaStorageProxyService

    with sqlite(running) as (url, _):
        server = grpc.server(ThreadPoolExecutor(1))
        service = OptunaStorageProxyService(optuna.storages.get_storage(url))
        api_pb2_grpc.add_StorageServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"localhost:{port}", time.process_time
        finally:
            server.stop(grace=None).wait()


@contextmanager
def postgresql(running: int) -> Iterator[Server]:
    """A PostgreSQL of its own, as the tests start it."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import optuna
    from tests.end_to_end.postgres import postgres

    with postgres() as database:
        url = database.new_database("trials")
        fill(optuna.storages.RDBStorage(url), running)
        socket_directory = url.partition("host=")[2]
        main_process = int(Path(socket_directory, "data", "postmaster.pid").read_text().split()[0])
        yield url, lambda: _cpu_of(main_process)


@contextmanager
def mlflow_server() -> Iterator[Server]:
    """A tracking server on a SQLite file, with one worker process."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--workers", "1"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        command += ["--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
        server = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(_end, server.pid)
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            time.sleep(0.2)
        yield address, lambda: _cpu_of(server.pid)


def _end(pid: int) -> None:
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=30)


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and its children, those that ended included."""
    total = 0.0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    parent = psutil.Process(pid).cpu_times()
    return total + parent.children_user + parent.children_system


if __name__ == "__main__":
    main()

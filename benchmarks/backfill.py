"""How much faster the backfill is than the obvious loop, and how fast logs are read.

    PYTHONPATH=$PWD/src:$PWD python benchmarks/backfill.py sqlite
    PYTHONPATH=$PWD/src:$PWD python benchmarks/backfill.py server
    PYTHONPATH=$PWD/src:$PWD python benchmarks/backfill.py parse --megabytes 1000

Each makes what it needs in a temporary directory and prints both times and their ratio. The loop is
what one writes first: create_run, then log_param, log_metric and set_tag one by one, then
set_terminated. Both write the same trials (10 params, 2 metrics, 3 tags beside MLflow's own) into
one store, in one call of this file, and take turns.
"""

import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from itertools import count
from pathlib import Path

import click

from mlproject.tracking.names import PARENT_RUN_ID_TAG, Metric, Param, TrialState
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.trial_run import TrialRun

PARAMS = list(Param)[:10]
METRICS = (Metric.BEST_VAL_LOSS, Metric.PARAM_COUNT)
TAGS = ("study_name", "origin", "recovery.fingerprint")
STARTED_MS = 1_790_000_000_000
PORT = 5077
_RATE = re.compile(rb"(lr=)[\d.]+,|'learning_rate': [\d.e-]+,")
LEGACY = Path(__file__).parents[1] / "tests" / "recovery" / "legacy"


@click.group()
def main() -> None:
    """Measure the recovery."""


@main.command()
@click.option("--trials", default=500, show_default=True)
@click.option("--rounds", default=2, show_default=True)
def sqlite(trials: int, rounds: int) -> None:
    """The backfill against the obvious loop on a SQLite store."""
    with _directory() as directory:
        _compare(f"sqlite:///{directory / 'mlflow.db'}", trials, rounds)


@main.command()
@click.option("--trials", default=500, show_default=True)
@click.option("--rounds", default=1, show_default=True)
def server(trials: int, rounds: int) -> None:
    """The backfill against the obvious loop over HTTP, to an `mlflow server` on SQLite."""
    with _directory() as directory, _server(directory) as uri:
        _compare(uri, trials, rounds)


@main.command()
@click.option("--megabytes", default=200, show_default=True)
def parse(megabytes: int) -> None:
    """Reading: genuine logs repeated word for word, each trial new, and a log full of epochs."""
    genuine = b"".join(path.read_bytes() for path in sorted(LEGACY.glob("*.log")))
    with _directory() as directory:
        for name, content in {
            "genuine logs, repeated word for word": _repeated(genuine, megabytes),
            "genuine logs, every trial new": _renewed(genuine, megabytes),
            "genuine logs with 500 lines of progress a trial": _padded(genuine, megabytes),
        }.items():
            path = directory / "big.log"
            with path.open("wb") as file:
                for piece in content:
                    file.write(piece)
            click.echo(f"{name}: ", nl=False)
            subprocess.run([sys.executable, __file__, "read", str(path)], check=True)


def _compare(uri: str, trials: int, rounds: int) -> None:
    import mlflow
    from recovery.write.backfill import open_store, threads_for

    from mlproject.tracking.recorder import bring_up_to_date

    mlflow.set_tracking_uri(uri)
    runs = [_trial(number) for number in range(trials)]
    loop_seconds = backfill_seconds = 0.0
    for turn in range(rounds):
        with open_store(f"loop {turn}") as store:
            pass
        parent = store.client.create_run(store.experiment_id).info.run_id
        began = time.perf_counter()
        _obvious_loop(store, parent, runs)
        loop_seconds += time.perf_counter() - began
        began = time.perf_counter()
        with open_store(f"backfill {turn}") as store:
            parent = store.client.create_run(store.experiment_id).info.run_id
            written = bring_up_to_date(store, parent, runs, threads=threads_for(store))
        backfill_seconds += time.perf_counter() - began
        assert written == trials == len(_children(store, parent))
    for name, seconds in {"obvious loop": loop_seconds, "backfill": backfill_seconds}.items():
        click.echo(f"{name:12} {1000 * seconds / rounds / trials:8.1f} ms a run")
    click.echo(f"{'ratio':12} {loop_seconds / backfill_seconds:8.1f} ×")


def _obvious_loop(store: TrackingStore, parent: str, runs: list[TrialRun]) -> None:
    client = store.client
    for trial in runs:
        run_id = client.create_run(
            store.experiment_id, start_time=trial.started_ms, tags={PARENT_RUN_ID_TAG: parent}
        ).info.run_id
        for param, value in trial.params.items():
            client.log_param(run_id, param, value)
        for metric, number in trial.metrics.items():
            client.log_metric(run_id, metric, number)
        for tag, text in trial.tags.items():
            client.set_tag(run_id, tag, text)
        client.set_terminated(run_id, "FINISHED", trial.ended_ms)


def _children(store: TrackingStore, parent: str) -> list[object]:
    from mlproject.tracking.study_run import child_runs

    return list(child_runs(store, parent))


def _trial(number: int) -> TrialRun:
    return TrialRun(
        trial_number=number,
        state=TrialState.COMPLETE,
        started_ms=STARTED_MS + 1000 * number,
        ended_ms=STARTED_MS + 1000 * number + 900,
        params={param: f"{number}.{place}" for place, param in enumerate(PARAMS)},
        metrics=dict.fromkeys(METRICS, number + 0.5),
        tags={tag: f"{tag} {number}" for tag in TAGS},
    )


def _repeated(genuine: bytes, megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes * 1_000_000 // len(genuine)):
        yield genuine


def _renewed(genuine: bytes, megabytes: int) -> Iterator[bytes]:
    rng = random.Random(0)
    rate = 0.0

    def renew(match: re.Match[bytes]) -> bytes:
        # On the trial's line the learning rate is rounded, on its finish line it is whole.
        nonlocal rate
        if match[1]:
            rate = rng.uniform(1e-4, 1e-3)
            return b"lr=%.6f," % rate
        return b"'learning_rate': %r," % rate

    for turn in range(megabytes * 1_000_000 // len(genuine)):
        # Another day, and other values, so that no line is known from before.
        date = b"%04d-%02d-%02d" % (1970 + turn // 336, 1 + turn // 28 % 12, 1 + turn % 28)
        yield _RATE.sub(renew, genuine.replace(b"2026-11-23", date))


def _padded(genuine: bytes, megabytes: int) -> Iterator[bytes]:
    bar = b"Epoch %d/100: train_loss: 0.6931, val loss: 0.6912, accuracy: 0.531, lr: 0.000123\n"
    epochs = b"".join(bar % epoch for epoch in range(100)) * 5
    padded = genuine.replace(b"\n[I ", b"\n" + epochs + b"[I ")
    yield from _repeated(padded, megabytes)


@main.command(hidden=True)
@click.argument("path", type=click.Path(path_type=Path))
def read(path: Path) -> None:
    """Read one log; in a process of its own, so that the memory is its own."""
    from recovery.sources.files import blocks_of, open_log
    from recovery.sources.reader import LogReader

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    reader = LogReader(path.name, UTC, count(1), set())
    with open_log(str(path)) as stream:
        trials = sum(1 for _ in reader.read(blocks_of(stream)))
    took = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    lines, size = reader.accounting.lines, path.stat().st_size / 1e6
    assert lines == reader.accounting.accounted
    click.echo(
        f"{size:.0f} MB, {lines:,} lines, {trials:,} trials: {took:.1f} s, "
        f"{size / took:.0f} MB/s, {grown:.0f} MB of memory"
    )


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        before = Path.cwd()
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


@contextmanager
def _server(directory: Path) -> Iterator[str]:
    uri = f"http://127.0.0.1:{PORT}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(PORT), "--backend-store-uri", f"sqlite:///{directory / 'mlflow.db'}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield uri
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()

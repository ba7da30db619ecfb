"""How long a study's launch takes to read, check and window many markets, and what it costs later.

`python -m benchmarks.markets FOLDER --load` measures here. Each launch is a process of its own; the
first finds no market in the cache, the second finds all. Seconds that the processor worked stand in
brackets: on a busy machine those count.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlproject.training.system.environment import set_torch_environment

BATCH = 256
_REPEATS = 200


def measure_load(folder: Path, sizes: Sequence[int]) -> Iterator[str]:
    """The lines of a Markdown table, one row for each number of markets."""
    alone = _launches(folder, 1)[-1]["gather_ms"]
    yield (
        "| markets | rows | first launch: read and check, s | windows, s | second launch: read, s "
        f"| windows, s | peak memory, GB | a batch of {BATCH}, ms | of one market, ms | ratio |"
    )
    yield "|---" * 10 + "|"
    for n_markets in sizes:
        first, second = launches = _launches(folder, n_markets)
        seconds = [
            f"{launch[part]:.1f} ({launch[f'{part}_cpu']:.1f})"
            for launch in launches
            for part in ("read", "windows")
        ]
        yield (
            f"| {n_markets:,} | {first['rows']:,} | {' | '.join(seconds)} "
            f"| {max(first['peak'], second['peak']) / 1e9:.2f} | {second['gather_ms']:.2f} "
            f"| {alone:.2f} | {second['gather_ms'] / alone:.2f} |"
        )


def _launches(folder: Path, n_markets: int) -> list[dict[str, float]]:
    """What a first and a second launch on so many random walks take."""
    from benchmarks.planted_markets import random_walk

    bars = folder / f"load-{n_markets}"
    bars.mkdir(exist_ok=True)
    for at in range(n_markets):
        path = bars / f"m{at:04d}.csv"
        if not path.exists():
            # Rounded, as files of bars are.
            random_walk(path.stem, at).frame.to_csv(path, index=False, float_format="%.4f")
    cache = folder / "load-cache"
    shutil.rmtree(cache, ignore_errors=True)
    command = [sys.executable, "-m", "benchmarks.markets_load", str(bars)]
    environment = os.environ | {"MLPROJECT_CACHE": str(cache)}
    return [
        json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
        )
        for _ in range(2)
    ]


def measure(source: str) -> dict[str, float]:
    """Load the markets of a folder as a launch does, and gather batches of their windows."""
    import torch

    from mlproject.data.labels import parse_task
    from mlproject.data.load_markets import load_markets
    from mlproject.data.windows import build_windows

    begun = _clocks()
    markets = load_markets(source)
    read = _clocks()
    data = build_windows(markets, horizon_days=3, task=parse_task("threshold_1pct"))
    built = _clocks()
    generator = torch.Generator().manual_seed(0)
    shuffled = data.train[torch.randperm(len(data.train), generator=generator)]
    seconds = []
    for at in range(_REPEATS):
        start = at * BATCH % (len(shuffled) - BATCH)
        gathering = time.process_time()
        data.gather(shuffled[start : start + BATCH])
        seconds.append(time.process_time() - gathering)
    return {
        "rows": markets.rows,
        "read": read[0] - begun[0],
        "read_cpu": read[1] - begun[1],
        "windows": built[0] - read[0],
        "windows_cpu": built[1] - read[1],
        "gather_ms": 1e3 * sorted(seconds)[_REPEATS // 2],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


if __name__ == "__main__":
    set_torch_environment()
    print(json.dumps(measure(sys.argv[1])))

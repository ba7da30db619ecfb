"""How long a study's launch takes to read, check and window many markets, and what it costs later.

`python -m benchmarks.markets FOLDER --load` measures here. Each launch is a process of its own; the
first finds no market in the cache, the second finds all.
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
        first, second = _launches(folder, n_markets)
        yield (
            f"| {n_markets:,} | {first['rows']:,} | {first['read']:.1f} | {first['windows']:.1f} "
            f"| {second['read']:.1f} | {second['windows']:.1f} "
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

    begun = time.perf_counter()
    markets = load_markets(source)
    read = time.perf_counter()
    data = build_windows(markets, horizon_days=3, task=parse_task("threshold_1pct"))
    built = time.perf_counter()
    generator = torch.Generator().manual_seed(0)
    shuffled = data.train[torch.randperm(len(data.train), generator=generator)]
    seconds = []
    for at in range(_REPEATS):
        start = at * BATCH % (len(shuffled) - BATCH)
        gathering = time.perf_counter()
        data.gather(shuffled[start : start + BATCH])
        seconds.append(time.perf_counter() - gathering)
    return {
        "rows": markets.rows,
        "read": read - begun,
        "windows": built - read,
        "gather_ms": 1e3 * sorted(seconds)[_REPEATS // 2],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    set_torch_environment()
    print(json.dumps(measure(sys.argv[1])))

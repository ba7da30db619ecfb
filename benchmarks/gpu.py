"""All that is to be known of one GPU, by one command, in less than eight minutes.

    python -m benchmarks.gpu [--device cuda] [--json benchmarks/data/gpu.json]

checks that the GPU trains what the CPU does, and measures how fast: steps of six architectures as
they are and with each improvement that is off by default, studies of 50 trials with 1, 2 and 4
workers on the one card for as long as there is time, and a trial of 2B. It prints tables and writes
JSON, from which `python -m benchmarks.costs_page` writes the GPU's part of docs/costs.md. Several
workers need the extra `ray`; without it they are left out.

    python -m benchmarks.gpu --device cpu --small

runs the same on the CPU, with small networks, in seconds: what it says of speed means nothing.
`--parts` names some of checks, speed, studies, trial.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlproject.errors import UserError
from mlproject.training.system.environment import set_torch_environment

PARTS = ("checks", "speed", "studies", "trial")
SECONDS = 470.0
"""For all parts; what would begin later is left out."""

LAST_SECONDS = 20.0
"""A study that was told to end has so long for it."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is measured, and where."""

    device: str
    small: bool
    folder: Path
    """For studies and checkpoints."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Until the time for all parts is over."""
        return SECONDS - (time.monotonic() - self.begun)


def main(arguments: list[str]) -> dict[str, Any]:
    """Measure, print and write; what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--folder", type=Path, default=None)
    asked = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary:
        scope = Scope(
            device=asked.device, small=asked.small, folder=asked.folder or Path(temporary)
        )
        found = {"command": " ".join(["python -m benchmarks.gpu", *arguments]), **where(scope)}
        print("\n".join(f"{name}: {value}" for name, value in found.items()), flush=True)
        for part in asked.parts:
            found[part] = measure(part, scope)
            if asked.json is not None:  # what is known is kept, whatever comes after it
                asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def where(scope: Scope) -> dict[str, str]:
    """The date, the machine and its versions."""
    import torch

    card = platform.processor() or "cpu"
    if scope.device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(scope.device)
        card = f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": card,
        "torch": str(torch.__version__),
        "cuda": str(torch.version.cuda),
    }


def measure(part: str, scope: Scope) -> list[dict[str, Any]]:
    """The rows of one part, printed as they are found."""
    from benchmarks import gpu_checks, gpu_speed

    rows = {
        "checks": gpu_checks.rows,
        "speed": gpu_speed.speed_rows,
        "studies": study_rows,
        "trial": gpu_speed.trial_rows,
    }[part]
    found = []
    print(f"\n{part}", flush=True)
    try:
        for row in rows(scope):
            if not found:
                print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
            print("| " + " | ".join(map(as_text, row.values())) + " |", flush=True)
            found.append(row)
            if scope.seconds_left <= 0:
                print("the time is over")
                break
    except (RuntimeError, UserError) as error:  # the other parts are measured all the same
        print(f"failed: {error}", flush=True)
    return found


def as_text(value: Any) -> str:
    """A cell of a table."""
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """How far a study came in its seconds."""

    workers: int
    with_graph: bool
    seconds: float
    """From the start of the program until it ended or was told to."""
    finished_trials: int
    epochs: int
    epochs_a_minute: float


def study_rows(scope: Scope) -> Any:
    """A study with 1, 2 and 4 workers that share the device, as the program runs it."""
    from importlib.util import find_spec

    places = [(1, False)] if scope.small else [(1, False), (1, True), (2, False), (4, False)]
    if find_spec("ray") is None:
        print("Ray is not installed: one worker alone")
        places = [place for place in places if place[0] == 1]
    for left, (workers, with_graph) in zip(range(len(places), 0, -1), places, strict=True):
        # What comes after the studies has a minute.
        seconds = max(30.0, (scope.seconds_left - 60) / left - LAST_SECONDS / 2)
        yield asdict(run_study(scope, workers, with_graph, seconds))


def run_study(scope: Scope, workers: int, with_graph: bool, seconds: float) -> StudyRow:
    """Run a 2M study of 50 trials for so many seconds at most."""
    import optuna

    from mlproject.training.graphed_step import SWITCH

    folder = scope.folder / f"study-{workers}{'-graph' if with_graph else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"budget": "2M", "horizon": 3, "n-trials": 50, "device": scope.device}
    if scope.small:
        asked |= {"budget": "100k", "n-trials": 1, "max-epochs": 1, "max-steps": 1}
    if workers > 1:
        asked |= {"device": "auto", "workers": workers, "gpus-per-trial": 1 / workers}
    options = [f"--{name}={value}" for name, value in asked.items()]
    src = Path(__file__).parent.parent / "src"
    process = subprocess.Popen(
        [sys.executable, "-m", "mlproject", "study", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(src), SWITCH: str(int(with_graph))},
        stdout=(folder / "output.txt").open("w"),
        stderr=subprocess.STDOUT,
    )
    begun = time.perf_counter()
    try:
        process.wait(seconds)
        taken = time.perf_counter() - begun
    except subprocess.TimeoutExpired:
        taken = time.perf_counter() - begun
        process.terminate()
        try:
            process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    storage = f"sqlite:///{folder}/optuna.db"
    studies = optuna.get_all_study_summaries(storage)
    if not studies:
        raise RuntimeError(f"no study began:\n{(folder / 'output.txt').read_text()}")
    trials = optuna.load_study(study_name=studies[0].study_name, storage=storage).trials
    epochs = sum(len(trial.intermediate_values) for trial in trials)
    return StudyRow(
        workers=workers,
        with_graph=with_graph,
        seconds=taken,
        finished_trials=sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in trials),
        epochs=epochs,
        epochs_a_minute=epochs / taken * 60,
    )


if __name__ == "__main__":
    set_torch_environment()
    main(sys.argv[1:])

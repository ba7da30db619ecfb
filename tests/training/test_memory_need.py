"""The predicted memory need is what a training takes."""

import json
import subprocess
import sys

import pytest

from tests.end_to_end.processes import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budget", "arch_idx", "optimiser", "precision", "allowed"),
    [
        ("20M", 28, "adafactor", "bf16", 0.15),
        # Two threads at once: how far both are when the peak is reached differs from run to run.
        ("2M", 48, "adamw", "bf16", 0.3),
    ],
)
def test_the_predicted_peak_is_the_measured_one(
    budget: str, arch_idx: int, optimiser: str, precision: str, allowed: float
) -> None:
    script = REPOSITORY / "benchmarks" / "memory.py"
    command = [sys.executable, str(script), budget, str(arch_idx), optimiser, precision]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(output)
    assert found["predicted"] == pytest.approx(found["measured"], rel=allowed)

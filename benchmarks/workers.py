"""Whether two trials at a time, each on a core of its own, get more done than one on all cores.

    python benchmarks/workers.py [2M 20M]

sets the steps of one process that has all cores, as a study has by default, beside those of as
many processes as there are cores with one core each, as `-P workers=` has. Both are measured in
turns, for some architectures of a budget, without Ray and without a study around them: what the
figures compare is the training alone.
"""

import os
import statistics
import subprocess
import sys
import time

from mlproject.training.system.environment import set_torch_environment

ROUNDS = 7
SECONDS = 1.5
"""Of a round, about; as many steps as fit into it in one process."""
ARCHITECTURES = {
    "2M": (
        (64, 64, 32, 128),
        (64, 32, 2, 256),
        (64, 32, 32, 256),
        (128, 12, 8, 256),
        (192, 8, 2, 384),
        (256, 2, 2, 1024),
    ),
    "20M": ((128, 180, 32, 256), (256, 24, 8, 1024), (1024, 2, 2, 2048)),
}


def main(budgets: list[str]) -> None:
    """Print the table."""
    cores = os.cpu_count() or 1
    print(
        f"| budget | d_model × n_layers, heads | one process, {cores} cores: ms a step "
        f"| {cores} processes, a core each: ms a step | steps a second / those of one |"
    )
    print("|---" * 5 + "|")
    for budget in budgets:
        for shape in ARCHITECTURES[budget]:
            one, each, ratio = compare(budget, shape, cores)
            d_model, n_layers, heads, _ = shape
            print(
                f"| {budget} | {d_model} × {n_layers}, {heads} | {one:.0f} | {each:.0f} "
                f"| {ratio:.2f} |",
                flush=True,
            )


def compare(
    budget: str, shape: tuple[int, int, int, int], cores: int
) -> tuple[float, float, float]:
    """Median milliseconds of a step both ways, and the ratio of steps done, by rounds."""
    alone = start(budget, shape, cores)
    several = [start(budget, shape, 1) for _ in range(cores)]
    try:
        steps = max(2, round(SECONDS / take([alone], 1)))
        rounds = [(take([alone], steps), take(several, steps)) for _ in range(ROUNDS)]
    finally:
        for process in (alone, *several):
            process.kill()
            process.wait()
    one, each = (statistics.median(found) / steps * 1000 for found in zip(*rounds, strict=True))
    return one, each, statistics.median(cores * one / each for one, each in rounds)


def start(budget: str, shape: tuple[int, int, int, int], threads: int) -> "subprocess.Popen[str]":
    """A process that is ready to take steps."""
    command = [sys.executable, __file__, "--one", budget, str(threads), *map(str, shape)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    take([process], 2)
    return process


def take(processes: list["subprocess.Popen[str]"], steps: int) -> float:
    """Seconds until every process has taken so many steps."""
    begun = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        print(steps, file=process.stdin, flush=True)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline()
    return time.perf_counter() - begun


def take_steps(budget: str, threads: int, shape: tuple[int, int, int, int]) -> None:
    """Take as many steps as each line of the input says, and say so."""
    import torch
    from benchmarks.training_step import architecture, data, settings

    from mlproject.training.device import natural_precision
    from mlproject.training.plan import OptimiserName, TrainingPlan
    from mlproject.training.train import training_step

    torch.set_num_threads(threads)
    plan = TrainingPlan(
        optimiser=OptimiserName.ADAMW, precision=natural_precision(torch.device("cpu"))
    )
    ends = data().train[: settings().batch_size]
    number = 0
    with training_step(architecture(shape, budget), data(), settings(), plan) as step:
        for line in sys.stdin:
            for _ in range(int(line)):
                step.run(ends, number, 1e-4)
                number += 1
            print(number, flush=True)


if __name__ == "__main__":
    set_torch_environment()
    if sys.argv[1:2] == ["--one"]:
        d_model, n_layers, n_heads, d_ff = map(int, sys.argv[4:])
        take_steps(sys.argv[2], int(sys.argv[3]), (d_model, n_layers, n_heads, d_ff))
    else:
        main(sys.argv[1:] or ["2M"])

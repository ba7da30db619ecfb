"""Whether a GPU trains what the CPU does: the checks of `benchmarks.gpu`.

python -m benchmarks.gpu --parts checks
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from benchmarks.training_step import architecture, data, settings
from torch import Tensor
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.graphed_step import SWITCH
from mlproject.training.memory_plan import plan_memory
from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
from mlproject.training.settings import TrainingSettings
from mlproject.training.train import train, training_step
from mlproject.training.workload import Workload

if TYPE_CHECKING:
    from benchmarks.gpu import Scope

STEPS = 10
LIMITS = {Precision.FP32: 1e-4, Precision.BF16: 3e-2}
"""Of outputs, and of the gradient of each weight: the norm of the difference from the reference, as
a part of the reference's. On a CPU 4e-6 and 5e-3 were the most, at 64 × 64."""
LOSS_LIMITS = {Precision.FP32: 1e-4, Precision.BF16: 1e-2}
"""Of the losses of ten steps, in nats."""
PLAN_LIMIT = 0.15
KILLED_AFTER = 6
"""Steps of a training of two epochs of four."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check: what was found, and whether that is well."""

    check: str
    found: float | None
    limit: float | None
    passed: bool | None
    """None where it was not made, or is no check on this device."""

    @classmethod
    def below(cls, check: str, found: float, limit: float) -> "Check":
        """Passed when what was found is at most the limit; no number is not."""
        return cls(check=check, found=found, limit=limit, passed=found <= limit)


def rows(scope: "Scope") -> Iterator[dict[str, Any]]:
    """All checks, one after the other."""
    for check in _checks(scope):
        yield asdict(check)


def adamw(precision: Precision) -> TrainingPlan:
    """A plan."""
    return TrainingPlan(optimiser=OptimiserName.ADAMW, precision=precision)


@cache
def data_on(device: str) -> WindowedData:
    """The embedded bars on a device."""
    return data().to(torch.device(device))


def _networks(scope: "Scope") -> list[tuple[str, Architecture, int, torch.dtype]]:
    """Names, networks, windows of a batch, and the type of the reference on the CPU."""
    if scope.small:
        return [("100k", architecture((64, 2, 8, 128), "100k"), 8, torch.float64)]
    return [
        ("2M, 64 × 64", architecture((64, 64, 32, 128), "2M"), 64, torch.float64),
        ("200M, 768 × 32", architecture((768, 32, 8, 3072), "200M"), 8, torch.float32),
    ]


def _checks(scope: "Scope") -> Iterator[Check]:
    makes: list[tuple[str, Callable[[], Iterator[Check]]]] = [
        (name, partial(against_the_cpu, scope.device, name, network, windows, exact))
        for name, network, windows, exact in _networks(scope)
    ]
    makes += [
        ("killed and resumed", partial(killed_and_resumed, scope)),
        ("out of memory", partial(out_of_memory, scope)),
        ("memory plan", partial(memory_plans, scope)),
    ]
    # Last, as what goes wrong there may leave the device unusable.
    makes += [
        (name, partial(with_a_graph, scope.device, name, network, windows))
        for name, network, windows, _ in _networks(scope)
    ]
    for name, make in makes:
        try:
            yield from make()
        except RuntimeError as error:  # the others are made all the same
            reason = str(error).splitlines()[0][:80]
            yield Check(check=f"{name}: {reason}", found=None, limit=None, passed=False)


def against_the_cpu(
    device: str, name: str, network: Architecture, windows: int, exact: torch.dtype
) -> Iterator[Check]:
    """Outputs, gradients and ten steps in both precisions."""
    true_outputs, true_gradients = outputs_and_gradients(network, "cpu", exact, windows)
    true_losses = losses(network, "cpu", Precision.FP32, windows)
    for precision in Precision:
        outputs, gradients = outputs_and_gradients(network, device, precision.dtype, windows)
        where, limit = f"{name}, {precision}", LIMITS[precision]
        yield Check.below(f"{where}: outputs", distance(outputs, true_outputs), limit)
        off = max(map(distance, gradients, true_gradients))
        yield Check.below(f"{where}: gradients", off, limit)
        off = furthest(losses(network, device, precision, windows), true_losses)
        yield Check.below(f"{where}: losses of {STEPS} steps", off, LOSS_LIMITS[precision])


def with_a_graph(device: str, name: str, network: Architecture, windows: int) -> Iterator[Check]:
    """Ten steps, most of them repeated from a graph, beside ten as they are."""
    for precision in Precision:
        graphed = losses(network, device, precision, windows, graph=True)
        off = furthest(graphed, losses(network, device, precision, windows))
        check = f"{name}, {precision}: losses of {STEPS} steps with a graph"
        yield Check.below(check, off, LOSS_LIMITS[precision])


def furthest(found: list[float], true: list[float]) -> float:
    """The largest difference."""
    return max(abs(a - b) for a, b in zip(found, true, strict=True))


def outputs_and_gradients(
    network: Architecture, device: str, dtype: torch.dtype, n_windows: int
) -> tuple[Tensor, list[Tensor]]:
    """Of fresh weights that are the same everywhere: (windows,), and one for each weight."""
    torch.manual_seed(0)
    is_exact = dtype == torch.float64
    model = PatchTST.build(
        network,
        num_features=data().n_features,
        device=device,
        matrix_dtype=torch.float32 if is_exact else dtype,
    )
    windows, labels = data_on(device).gather(data_on(device).train[:n_windows])
    if is_exact:
        model, windows, labels = model.double(), windows.double(), labels.double()
    outputs = model(windows)
    loss = functional.binary_cross_entropy_with_logits(outputs, labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    return outputs.detach().cpu().double(), [gradient.cpu().double() for gradient in gradients]


def distance(found: Tensor, true: Tensor) -> float:
    """The norm of the difference, as a part of that of the true one."""
    return float((found - true).norm() / true.norm())


def still_settings(batch_size: int, **more: Any) -> TrainingSettings:
    """Settings without dropout."""
    return replace(settings(), dropout=0.0, batch_size=batch_size, **more)


def losses(
    network: Architecture, device: str, precision: Precision, batch: int, *, graph: bool = False
) -> list[float]:
    """The losses of ten steps without dropout."""
    windows = data_on(device)
    os.environ[SWITCH] = str(int(graph))
    with training_step(network, windows, still_settings(batch), adamw(precision)) as step:
        parts = windows.train[: STEPS * batch].split(batch)
        found = [step.run(ends, number, 1e-3).clone() for number, ends in enumerate(parts)]
    os.environ[SWITCH] = "0"
    return [loss.item() for loss in found]


def killed_and_resumed(scope: "Scope") -> Iterator[Check]:
    """A training that was killed in its second epoch ends as one that was not."""
    killed = _train_apart(scope, KILLED_AFTER)
    if killed.returncode != -signal.SIGKILL:
        raise RuntimeError(f"the training was not killed: {killed.returncode}")
    resumed = json.loads(_train_apart(scope, 0).stdout)
    undisturbed = trained(scope.device, scope.folder / "undisturbed", 0)
    if not resumed["steps"] < undisturbed["steps"]:
        raise RuntimeError("the training that was killed began anew")
    off = abs(resumed["val_losses"][-1] - undisturbed["val_losses"][-1])
    yield Check.below("killed with -9 and resumed: loss", off, 1e-3)


def _train_apart(scope: "Scope", killed_after: int) -> "subprocess.CompletedProcess[str]":
    arguments = [scope.device, str(scope.folder / "killed"), str(killed_after)]
    command = [sys.executable, "-m", "benchmarks.gpu_checks", *arguments]
    root = Path(__file__).parent.parent
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"},
    )


def trained(device: str, folder: Path, killed_after: int) -> dict[str, Any]:
    """Train two epochs of four steps, saved after each one, or die after so many of them."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0

    def count(_step: int, _steps: int) -> None:
        nonlocal taken
        if taken == killed_after > 0:  # what came before is saved
            os.kill(os.getpid(), signal.SIGKILL)
        taken += 1

    val_losses: list[float] = []
    train(
        architecture((64, 2, 8, 128), "100k"),
        data_on(device),
        still_settings(64, epochs=2, max_steps=4),
        lambda epoch: bool(val_losses.append(epoch.val_loss)),
        plan=adamw(Precision.FP32),
        checkpoint=CheckpointFile(path=folder / "state.pt", study={}, save_every_seconds=0.0),
        on_step=count,
    )
    return {"val_losses": val_losses, "steps": taken}


def out_of_memory(scope: "Scope") -> Iterator[Check]:
    """With too little memory for a whole batch, a step goes on with smaller ones."""
    name = "micro-batch after memory ran out, of 256"
    if not scope.device.startswith("cuda"):
        yield Check(check=f"{name} (on CUDA only)", found=None, limit=None, passed=None)
        return
    windows = data_on(scope.device)
    network = architecture((64, 64, 32, 128), "2M")
    with training_step(network, windows, still_settings(256), adamw(Precision.BF16)) as step:
        ends = windows.train[:256]
        step.run(ends, 0, 1e-4)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_reserved()
        step.run(ends, 1, 1e-4).item()
        peak = torch.cuda.max_memory_reserved()
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(scope.device).total_memory
        torch.cuda.set_per_process_memory_fraction((held + 0.75 * (peak - held)) / total)
        try:
            step.run(ends, 2, 1e-4).item()
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        yield Check.below(name, step.layout.micro_batch, 128)


def memory_plans(scope: "Scope") -> Iterator[Check]:
    """The memory that was planned beside the peak of two steps."""
    for name, network, *_ in _networks(scope):
        windows = data_on(scope.device)
        workload = Workload(
            device=torch.device(scope.device), n_features=windows.n_features, batch_size=256
        )
        plan = plan_memory([network], workload)
        brief = replace(settings(), max_steps=2)
        result = train(network, windows, brief, lambda _: True, plan=plan.training)
        off = abs(plan.need.total / result.peak_memory_bytes - 1)
        check = Check.below(f"{name}: memory planned / peak, off by", off, PLAN_LIMIT)
        # On a CPU the peak is that of the whole process.
        yield check if scope.device.startswith("cuda") else replace(check, passed=None)


if __name__ == "__main__":
    print(json.dumps(trained(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))

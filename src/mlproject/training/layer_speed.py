"""How fast a machine trains one layer: what a step will take, before the first one has ended.

A step of a large network takes minutes. One layer of it alone takes a second, and a network is its
layers one after the other.
"""

import time
from dataclasses import replace

import torch

from mlproject.models.arch_grid import WINDOW_DAYS, Architecture
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training.layouts import choose_layout
from mlproject.training.optimisers import make_optimiser
from mlproject.training.plan import TrainingPlan
from mlproject.training.settings import TrainingSettings
from mlproject.training.workload import Workload, usable_memory_bytes

_FIRST_WINDOWS = 16
"""Of the first step, in which libraries are loaded: it is not what is told."""
_SLOW_SECONDS = 1.0
"""Where the first step takes longer, the second one has a quarter of a batch."""
_SETTINGS = TrainingSettings(
    learning_rate=1e-4,
    epochs=1,
    batch_size=_FIRST_WINDOWS,
    weight_decay=0.0,
    warmup_steps=0,
    dropout=0.2,
    seed=0,
)


def step_seconds(architecture: Architecture, plan: TrainingPlan, workload: Workload) -> float:
    """About how long a step of `architecture` will take on the workload's device.

    A network with a single one of its layers takes the step, on noise.
    """
    layout = choose_layout(architecture, plan, workload, usable_memory_bytes(workload))
    network = PatchTST.build(
        replace(architecture, n_layers=1),
        num_features=workload.n_features,
        device=workload.device,
        matrix_dtype=plan.precision.dtype,
    )
    optimiser = make_optimiser(plan, network, _SETTINGS)
    dropout = Dropout(_SETTINGS.dropout, (0, 0, 0))

    def seconds(windows: int) -> float:
        begun = time.perf_counter()
        noise = torch.randn(windows, WINDOW_DAYS, workload.n_features, device=workload.device)
        logits = network(noise, dropout, checkpoint_every=min(1, layout.checkpoint_every))
        optimiser.accumulate(optimiser.backward(logits.mean()))
        optimiser.step()
        logits.sum().item()  # waits for the device
        return time.perf_counter() - begun

    is_slow = seconds(_FIRST_WINDOWS) > _SLOW_SECONDS
    windows = -(-workload.batch_size // (4 if is_slow else 1))
    return architecture.n_layers * seconds(windows) * workload.batch_size / windows

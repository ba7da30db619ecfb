"""The layouts of an architecture, from the fastest to the one that needs the least memory.

What a layout is stands in `plan`; what it needs is counted in `memory_need`.
"""

from dataclasses import replace

import torch

from mlproject.models.arch_grid import Architecture
from mlproject.training.memory_need import FP32_BYTES, MemoryNeed, bytes_per_token, memory_need
from mlproject.training.plan import Layout, OptimiserName, TrainingPlan
from mlproject.training.workload import Workload

SPARE = 0.1
"""Share of the free memory that is left to what the plan does not count."""

LARGEST_THREADED = 30_000_000
"""Up to this many parameters every core works on a part of the batch of its own, which costs a
set of gradients for each; larger matrices keep all cores busy by themselves."""

SMALLEST_THREADED_BATCH = 32
"""Windows; smaller parts of a batch are not worth a core of their own."""


def choose_layout(
    architecture: Architecture, plan: TrainingPlan, workload: Workload, free_bytes: int
) -> Layout:
    """The fastest layout that fits into `free_bytes`, or the smallest should none do."""
    return choose_layout_and_need(architecture, plan, workload, free_bytes)[0]


def choose_layout_and_need(
    architecture: Architecture, plan: TrainingPlan, workload: Workload, free_bytes: int
) -> tuple[Layout, MemoryNeed]:
    """The layout of `choose_layout`, and what it needs."""
    for layout in _layouts(architecture, plan, workload):
        need = memory_need(architecture, plan, layout, workload)
        if fits(need, free_bytes):
            break
    return layout, need


def fits(need: MemoryNeed, free_bytes: int) -> bool:
    """Whether `need` leaves `SPARE` of the free memory."""
    return need.to_be_taken <= free_bytes * (1 - SPARE)


def _layouts(architecture: Architecture, plan: TrainingPlan, workload: Workload) -> list[Layout]:
    batch_size = workload.batch_size
    if plan.optimiser is OptimiserName.ADAFACTOR:
        # Its gradients are gone after one micro-batch.
        return [Layout(micro_batch=batch_size, checkpoint_every=_checkpoints(architecture, plan))]
    batch_size = -(-batch_size // workload.n_processes)
    threads = 1
    one_process = workload.n_processes == 1
    if (
        one_process
        and workload.device.type == "cpu"
        and architecture.param_count <= LARGEST_THREADED
    ):
        threads = max(1, min(torch.get_num_threads(), batch_size // SMALLEST_THREADED_BATCH))
    whole = Layout(micro_batch=-(-batch_size // threads), threads=threads)
    layouts = [whole, Layout(micro_batch=batch_size)] if threads > 1 else [whole]
    smaller = replace(layouts[-1], checkpoint_every=_checkpoints(architecture, plan))
    layouts.append(smaller)
    while smaller.micro_batch > 1:
        smaller = replace(smaller, micro_batch=-(-smaller.micro_batch // 2))
        layouts.append(smaller)
    return layouts


def _checkpoints(architecture: Architecture, plan: TrainingPlan) -> int:
    """Layers between two checkpoints: what is kept and what is computed again balance."""
    layer = bytes_per_token(architecture, plan)
    between = (architecture.n_layers * architecture.d_model * FP32_BYTES / layer) ** 0.5
    return max(1, round(between))

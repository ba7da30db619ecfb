"""Layouts: the batch is covered, and less memory means smaller parts."""

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from mlproject.models.arch_grid import Architecture, get_architectures_for_budget
from mlproject.training.layouts import choose_layout
from mlproject.training.memory_need import memory_need
from mlproject.training.plan import FP32_ADAMW, OptimiserName, Precision, TrainingPlan
from mlproject.training.workload import Workload

WORKLOAD = Workload(device=torch.device("cpu"), n_features=25, batch_size=256)
BF16_ADAMW = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision.BF16)
FRUGAL = TrainingPlan(optimiser=OptimiserName.ADAFACTOR, precision=Precision.BF16)


def test_less_memory_means_smaller_parts_and_never_a_larger_need() -> None:
    [row] = [a for a in get_architectures_for_budget("200M", 25) if a.arch_idx == 91]
    needs = []
    layouts = []
    for gigabytes in (100, 10, 5, 4, 1):
        layout = choose_layout(row, BF16_ADAMW, WORKLOAD, int(gigabytes * 1e9))
        layouts.append(layout)
        needs.append(memory_need(row, BF16_ADAMW, layout, WORKLOAD).total)
    assert needs == sorted(needs, reverse=True)
    assert layouts[0].micro_batch == 256 and layouts[0].checkpoint_every == 0
    assert layouts[-1].micro_batch == 1 and layouts[-1].checkpoint_every > 0


@given(
    row=st.sampled_from([a for b in ("2M", "20M") for a in get_architectures_for_budget(b, 25)]),
    batch_size=st.integers(1, 2000),
    free=st.integers(10**6, 10**11),
    plan=st.sampled_from([FP32_ADAMW, BF16_ADAMW, FRUGAL]),
)
def test_a_layout_covers_the_batch(
    row: Architecture, batch_size: int, free: int, plan: TrainingPlan
) -> None:
    layout = choose_layout(row, plan, replace(WORKLOAD, batch_size=batch_size), free)
    assert 1 <= layout.micro_batch <= batch_size
    assert layout.threads * (layout.micro_batch - 1) < batch_size
    if plan is FRUGAL:  # its gradients are gone after one micro-batch
        assert layout.micro_batch == batch_size

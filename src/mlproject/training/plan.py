"""The training plan of a study, alike in all its trials, and the layout, which may differ.

What a plan needs is in `memory_need`, which one is taken in `memory_plan`.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch


class OptimiserName(StrEnum):
    """The name of an optimiser."""

    ADAMW = "adamw"
    """16 to 18 bytes a parameter."""
    ADAFACTOR = "adafactor"
    """2 bytes a parameter in bf16: for models whose AdamW state does not fit."""


class Precision(StrEnum):
    """The type of the blocks' matrices and of the products with them."""

    FP32 = "fp32"
    BF16 = "bf16"

    @property
    def dtype(self) -> torch.dtype:
        """The type in torch."""
        return torch.float32 if self is Precision.FP32 else torch.bfloat16


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Optimiser and precision, shared by all trials of a study so that they can be compared."""

    optimiser: OptimiserName
    precision: Precision


FP32_ADAMW = TrainingPlan(optimiser=OptimiserName.ADAMW, precision=Precision.FP32)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the work of one step is cut up, which changes no result but by rounding."""

    micro_batch: int
    """Windows that go through the network together; their gradients are added up."""
    threads: int = 1
    """Micro-batches at work at the same time, each on one core. With 1, one micro-batch has all
    cores."""
    checkpoint_every: int = 0
    """Layers between the activations that are kept for the backward pass; 0 keeps all."""

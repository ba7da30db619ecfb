"""Dropout whose masks are cheap to draw on a CPU.

torch draws a CPU mask one number at a time, which took a third of a training step of the narrow,
deep networks searched here. Sixty-four random bits make four masks instead.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_LANES = 4  # 16-bit numbers in one draw of 64 bits
_LEVELS = 2**16


class Dropout(nn.Module):
    """As `torch.nn.Dropout`; the probability is rounded to a multiple of 2⁻¹⁶ on a CPU."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape; the identity outside training."""
        if not self.training or self.probability == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.probability)
        return _CpuDropout.apply(x, self.probability)  # type: ignore[no-untyped-call]


class _CpuDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        mask = scaled_mask(x, probability)
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradients[0] * mask, None


def scaled_mask(x: Tensor, probability: float) -> Tensor:
    """A mask for `x`: 0 with the probability, else what keeps the expected value."""
    levels_dropped = round(probability * _LEVELS)
    draws = torch.empty(math.ceil(x.numel() / _LANES), dtype=torch.int64)
    draws.random_(-(2**63), None)
    lanes = draws.view(torch.int16)[: x.numel()].view(x.shape)
    mask = torch.empty(x.shape, dtype=x.dtype)
    # Comparing into the mask's own type is many times faster than by way of booleans.
    torch.ge(lanes, levels_dropped - _LEVELS // 2, out=mask)
    return mask.mul_(_LEVELS / (_LEVELS - levels_dropped))

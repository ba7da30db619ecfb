"""Dropout whose masks are cheap to draw on a CPU, and the same whenever they are drawn.

torch draws a CPU mask one number at a time from one generator, which took a third of a training
step of the narrow, deep networks searched here. Here sixty-four random bits make four masks, and
the bits follow from a key (the trial's seed, the step, the part of the batch) and an index in the
network. So threads need no shared state, activation checkpointing repeats a mask by drawing it
again, and a training that continues after a kill needs to know its step only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LANES = 4  # 16-bit numbers in one draw of 64 bits
_LEVELS = 2**16


@dataclass(frozen=True)
class Dropout:
    """The dropout of one pass through a network."""

    probability: float
    """Rounded to a multiple of 2⁻¹⁶ on a CPU."""
    key: tuple[int, ...] = ()
    """Whole numbers, none negative. The same key gives the same masks on a CPU; elsewhere the
    masks come from torch's generator of the device."""

    def at(self, index: int) -> "DropoutStream":
        """The dropout of the part of the network with this index, such as a layer."""
        return DropoutStream(self.probability, (*self.key, index))


NO_DROPOUT = Dropout(0.0)


class DropoutStream:
    """A callable that masks one tensor after another, each with a mask of its own."""

    def __init__(self, probability: float, key: tuple[int, ...]) -> None:
        self.probability = probability
        self._key = key
        self._bits: np.random.SFC64 | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The masked tensor, as of `torch.nn.functional.dropout` in training: the same shape."""
        if self.probability == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.probability)
        masked: Tensor = _Masked.apply(x, self)  # type: ignore[no-untyped-call]
        return masked

    def draw(self, x: Tensor) -> Tensor:
        """The next `random_lanes` of this stream, of the shape of `x`."""
        if self._bits is None:
            self._bits = np.random.SFC64(self._key)
        return random_lanes(self._bits, x)


def random_lanes(bits: np.random.SFC64, like: Tensor) -> Tensor:
    """Random int16 of the shape of a CPU tensor, uniform over all values: four of each draw."""
    count = like.numel()
    words = bits.random_raw(-(-count // _LANES))
    return torch.from_numpy(words.view(np.int16))[:count].view(like.shape)


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stream: DropoutStream) -> Tensor:
        levels_dropped = round(stream.probability * _LEVELS)
        ctx.scale = _LEVELS / (_LEVELS - levels_dropped)
        lanes = stream.draw(x)
        # For bf16 the mask is bits to be kept, for other types a factor: comparing straight into
        # the mask's own type is many times faster than by way of booleans.
        mask = torch.empty(x.shape, dtype=torch.int16 if x.dtype == torch.bfloat16 else x.dtype)
        torch.ge(lanes, levels_dropped - _LEVELS // 2, out=mask)
        if x.dtype == torch.bfloat16:
            mask.neg_()
        else:
            mask.mul_(ctx.scale)
        ctx.save_for_backward(mask)
        return _apply(x, mask, ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return _apply(gradients[0], mask, ctx.scale), None


def _apply(x: Tensor, mask: Tensor, scale: float) -> Tensor:
    if mask.dtype != torch.int16:
        return x * mask
    kept = x.contiguous().view(torch.int16).bitwise_and(mask)
    return kept.view(torch.bfloat16).mul_(scale)

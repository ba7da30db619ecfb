"""Self-attention over the few patches of a window.

torch's CPU kernels are made for long sequences and wide heads. Here a sequence has eleven patches,
and a head of the narrow networks two to four numbers, while a batch holds thousands of heads.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlproject.models.arch_grid import N_PATCHES
from mlproject.models.dropout import DropoutStream

NARROW_HEAD = 4
"""Up to this size of a head its products are sums of products over the whole batch; above it
batched matrix products are faster."""


class Attention(nn.Module):
    """Multi-head self-attention over the patches of each window."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, dropout: DropoutStream) -> Tensor:
        """Mix the tokens of each window, which stand together: (tokens, d_model) to the same."""
        size = x.shape[1] // self.n_heads
        qkv = self.qkv(x).view(-1, N_PATCHES, 3, self.n_heads, size)
        if x.device.type != "cpu":
            query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = functional.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout.probability
            ).transpose(1, 2)
        elif size <= NARROW_HEAD:
            mixed = _attend_narrow(qkv, dropout)
        else:
            mixed = _attend(qkv, dropout)
        return self.output(mixed.reshape(x.shape))


def _attend(qkv: Tensor, dropout: DropoutStream) -> Tensor:
    """Scaled dot-product attention: (windows, patches, heads, size) from `qkv`.

    `qkv` (windows, patches, 3, heads, size) holds query, key and value. Vaswani et al., "Attention
    Is All You Need" (NeurIPS 2017), section 3.2.1.
    """
    windows, patches, _, heads, size = qkv.shape
    parts = qkv.permute(2, 0, 3, 1, 4)
    query, key, value = (part.reshape(-1, patches, size) for part in parts)
    # The softmax runs over a middle dimension, so that neighbours in memory are neighbours in
    # the batch.
    scores = torch.bmm(query, key.transpose(1, 2)).permute(1, 2, 0).contiguous()
    weights = _softmax(scores.to(torch.promote_types(scores.dtype, torch.float32)), size)
    weights = dropout(weights).to(value.dtype).permute(2, 0, 1)
    return torch.bmm(weights, value).view(windows, heads, patches, size).transpose(1, 2)


def _attend_narrow(qkv: Tensor, dropout: DropoutStream) -> Tensor:
    """Attention as `_attend`, with the batch and the heads in the last dimension throughout."""
    windows, patches, _, heads, size = qkv.shape
    parts = qkv.to(torch.promote_types(qkv.dtype, torch.float32)).permute(2, 1, 4, 0, 3)
    query, key, value = (part.reshape(patches, size, -1) for part in parts)
    scores: Tensor = _Scores.apply(query, key)  # type: ignore[no-untyped-call]
    weights = dropout(_softmax(scores, size))
    mixed: Tensor = _Mix.apply(weights, value)  # type: ignore[no-untyped-call]
    return mixed.view(patches, size, windows, heads).permute(2, 0, 3, 1).to(qkv.dtype)


def _softmax(scores: Tensor, size: int) -> Tensor:
    """The weights of the second patches for each of the first: (patches, patches, batch)."""
    return torch.softmax(scores * size**-0.5, dim=1)


def _scores(one: Tensor, other: Tensor) -> Tensor:
    """The dot products over size of (patches, size, batch) twice: (patches, patches, batch)."""
    found = one[:, None, 0] * other[None, :, 0]
    for index in range(1, one.shape[1]):
        found.addcmul_(one[:, None, index], other[None, :, index])
    return found


def _mix(weights: Tensor, values: Tensor) -> Tensor:
    """The sums of `values` (patches, size, batch) by `weights` (patches, patches, batch).

    The result is (patches, size, batch), summed over the second patches.
    """
    found = weights[:, 0, None] * values[None, 0]
    for patch in range(1, len(values)):
        found.addcmul_(weights[:, patch, None], values[None, patch])
    return found


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor) -> Tensor:
        ctx.save_for_backward(query, key)
        return _scores(query, key)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        query, key = ctx.saved_tensors
        (gradient,) = gradients
        return _mix(gradient, key), _mix(gradient.transpose(0, 1), query)


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(weights, values)
        return _mix(weights, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        weights, values = ctx.saved_tensors
        (gradient,) = gradients
        return _scores(gradient, values), _mix(weights.transpose(0, 1), gradient)

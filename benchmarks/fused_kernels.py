"""What fused kernels without a lock would win on a CPU, and a dependency that brings them.

    pip install numba
    python -m benchmarks.fused_kernels

`numba` is no dependency of the project; docs/benchmarks.md says why. It compiles Python at run time
and needs no compiler on the machine. Here it fuses the residual sum with its dropout, GELU with its
dropout, and attention of narrow heads, for bf16; masks come from a counter and are not stored,
which is the cheapest there is (they are others than the project's, so this is no drop-in). Steps
with and without are timed in turns, and one without any dropout, the most that masks could win.
"""

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional

from benchmarks import training_step
from mlproject.models import attention, patchtst
from mlproject.models.dropout import Dropout, DropoutStream
from mlproject.training.system.environment import set_torch_environment

ROUNDS = 9
LEVELS = 2**16
F, U = np.float32, np.uint32
RELAXED = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}

kernel = njit(nogil=True, fastmath=RELAXED, error_model="numpy")
inline = njit(nogil=True, fastmath=RELAXED, error_model="numpy", inline="always")


@inline
def wide(bits: Any) -> Any:
    """The fp32 of a bf16's bits."""
    return U(U(bits) << U(16)).view(np.float32)


@inline
def narrow(value: Any) -> Any:
    """The bits of the nearest bf16."""
    bits = F(value).view(np.uint32)
    return np.uint16((bits + U(0x7FFF) + ((bits >> U(16)) & U(1))) >> U(16))


@inline
def exponential(x: Any) -> Any:
    """exp(x) to seven digits: 2^k times a polynomial in the rest."""
    t = max(F(x), F(-87.0)) * F(1.44269504)
    k = np.floor(t + F(0.5))
    f = t - k
    p = F(1.5403530e-4) * f + F(1.3333558e-3)
    p = (p * f + F(9.6181291e-3)) * f + F(5.5504109e-2)
    p = ((p * f + F(0.24022651)) * f + F(0.69314718)) * f + F(1.0)
    return p * U((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@inline
def normal_below(x: Any, e: Any) -> Any:
    """The normal distribution function of x, where e is exp(-x²/2) (Abramowitz, Stegun 7.1.26)."""
    t = F(1) / (F(1) + F(0.3275911 * 0.70710678) * abs(x))
    p = ((F(1.061405429) * t - F(1.453152027)) * t + F(1.421413741)) * t - F(0.284496736)
    above = F(0.5) * (p * t + F(0.254829592)) * t * e
    return F(1) - above if x > F(0) else above


@inline
def kept(index: Any, mask: Any) -> Any:
    """The factor of one element: 0, or what makes up for those that are dropped."""
    key, levels_dropped, scale = mask
    x = U(index) * U(0x9E3779B9) ^ key
    x ^= x >> U(16)
    x *= U(0x7FEB352D)
    x ^= x >> U(15)
    x *= U(0x846CA68B)
    x ^= x >> U(16)
    return scale if (x >> U(16)) >= levels_dropped else F(0)


@kernel
def add_forward(x: Any, change: Any, mask: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        out[i] = x[i] + wide(change[i]) * kept(i, mask)


@kernel
def add_backward(gradient: Any, mask: Any, out: Any) -> None:
    for i in range(gradient.shape[0]):
        out[i] = narrow(gradient[i] * kept(i, mask))


@kernel
def gelu_forward(x: Any, mask: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        value = wide(x[i])
        e = exponential(F(-0.5) * value * value)
        out[i] = narrow(value * normal_below(value, e) * kept(i, mask))


@kernel
def gelu_backward(gradient: Any, x: Any, mask: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        value = wide(x[i])
        e = exponential(F(-0.5) * value * value)
        slope = normal_below(value, e) + F(0.39894228) * value * e
        out[i] = narrow(wide(gradient[i]) * kept(i, mask) * slope)


@inline
def weights_of(query: Any, key: Any, i: Any, weights: Any) -> Any:
    """The weights (patches, heads) of the patch i, from query and key (patches, size, heads)."""
    patches, size, heads = query.shape
    top, total = np.full(heads, F(-1e30)), np.zeros(heads, np.float32)
    for j in range(patches):
        for h in range(heads):
            weights[j, h] = query[i, 0, h] * key[j, 0, h]
        for s in range(1, size):
            for h in range(heads):
                weights[j, h] += query[i, s, h] * key[j, s, h]
        for h in range(heads):
            top[h] = max(top[h], weights[j, h])
    for j in range(patches):
        for h in range(heads):
            weights[j, h] = exponential(weights[j, h] - top[h])
            total[h] += weights[j, h]
    for j in range(patches):
        for h in range(heads):
            weights[j, h] /= total[h]


@inline
def load(qkv: Any, n: Any, parts: Any) -> None:
    """Query, key and value of a window (3, patches, size, heads), the query scaled."""
    _, patches, size, heads = parts.shape
    scale = F(size**-0.5)
    for i in range(patches):
        for s in range(size):
            for h in range(heads):
                parts[0, i, s, h] = wide(qkv[n, i, 0, h, s]) * scale
                parts[1, i, s, h] = wide(qkv[n, i, 1, h, s])
                parts[2, i, s, h] = wide(qkv[n, i, 2, h, s])


@kernel
def attend_forward(qkv: Any, mask: Any, out: Any) -> None:
    windows, patches, _, heads, size = qkv.shape
    parts = np.empty((3, patches, size, heads), np.float32)
    weights = np.empty((patches, heads), np.float32)
    mixed = np.empty((size, heads), np.float32)
    for n in range(windows):
        load(qkv, n, parts)
        for i in range(patches):
            weights_of(parts[0], parts[1], i, weights)
            mixed[:] = F(0)
            for j in range(patches):
                at = ((n * patches + i) * patches + j) * heads
                for h in range(heads):
                    weights[j, h] *= kept(at + h, mask)
                for s in range(size):
                    for h in range(heads):
                        mixed[s, h] += weights[j, h] * parts[2, j, s, h]
            for s in range(size):
                for h in range(heads):
                    out[n, i, h, s] = narrow(mixed[s, h])


@kernel
def attend_backward(gradient: Any, qkv: Any, mask: Any, out: Any) -> None:  # noqa: PLR0912
    windows, patches, _, heads, size = qkv.shape
    parts = np.empty((3, patches, size, heads), np.float32)
    found = np.empty((3, patches, size, heads), np.float32)
    of_mixed = np.empty((size, heads), np.float32)
    weights = np.empty((patches, heads), np.float32)
    of_weights = np.empty((patches, heads), np.float32)
    scale = F(size**-0.5)
    for n in range(windows):
        load(qkv, n, parts)
        found[:] = F(0)
        for i in range(patches):
            for s in range(size):
                for h in range(heads):
                    of_mixed[s, h] = wide(gradient[n, i, h, s])
            weights_of(parts[0], parts[1], i, weights)
            total = np.zeros(heads, np.float32)
            for j in range(patches):
                at = ((n * patches + i) * patches + j) * heads
                for h in range(heads):
                    factor = kept(at + h, mask)
                    product = F(0)
                    for s in range(size):
                        product += of_mixed[s, h] * parts[2, j, s, h]
                        found[2, j, s, h] += weights[j, h] * factor * of_mixed[s, h]
                    of_weights[j, h] = product * factor
                    total[h] += of_weights[j, h] * weights[j, h]
            for j in range(patches):
                for h in range(heads):
                    of_weights[j, h] = weights[j, h] * (of_weights[j, h] - total[h])
                for s in range(size):
                    for h in range(heads):
                        found[0, i, s, h] += of_weights[j, h] * parts[1, j, s, h]
                        found[1, j, s, h] += of_weights[j, h] * parts[0, i, s, h]
        for i in range(patches):
            for s in range(size):
                for h in range(heads):
                    out[n, i, 0, h, s] = narrow(found[0, i, s, h] * scale)
                    out[n, i, 1, h, s] = narrow(found[1, i, s, h])
                    out[n, i, 2, h, s] = narrow(found[2, i, s, h])


def array(x: Tensor) -> Any:
    """What a kernel takes."""
    x = x.detach().contiguous()
    return x.view(torch.uint16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def flat(x: Tensor) -> Any:
    """As `array`, in one dimension."""
    return array(x).reshape(-1)


def mask_of(stream: DropoutStream) -> tuple[Any, Any, Any]:
    """The next mask of a layer: a key, and what is dropped."""
    count: int = getattr(stream, "masks_taken", 0)
    stream.masks_taken = count + 1  # type: ignore[attr-defined]
    dropped = round(stream.probability * LEVELS)
    key = hash((stream._key, count)) & 0xFFFFFFFF
    return U(key), U(dropped), F(LEVELS / (LEVELS - dropped))


class AddDropped(torch.autograd.Function):
    """The residual stream (fp32) and a change of it (bf16) that was dropped in part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Tensor, mask: Any) -> Tensor:
        ctx.mask = mask
        out = torch.empty_like(x)
        add_forward(flat(x), flat(change), mask, flat(out))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        out = torch.empty(gradient.shape, dtype=torch.bfloat16)
        add_backward(flat(gradient), ctx.mask, flat(out))
        return gradient, out, None


class GeluDropped(torch.autograd.Function):
    """GELU and its dropout."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Any) -> Tensor:
        ctx.mask = mask
        ctx.save_for_backward(x)
        out = torch.empty_like(x)
        gelu_forward(flat(x), mask, flat(out))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        gelu_backward(flat(gradient), flat(x), ctx.mask, flat(out))
        return out, None


class AttendedNarrow(torch.autograd.Function):
    """Attention as `attention._attend_narrow`."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, mask: Any) -> Tensor:
        ctx.mask = mask
        ctx.save_for_backward(qkv)
        windows, patches, _, heads, size = qkv.shape
        out = torch.empty(windows, patches, heads, size, dtype=qkv.dtype)
        attend_forward(array(qkv), mask, array(out))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (qkv,) = ctx.saved_tensors
        out = torch.empty(qkv.shape, dtype=qkv.dtype)
        attend_backward(array(gradient), array(qkv), ctx.mask, array(out))
        return out, None


def block_forward(self: patchtst.Block, x: Tensor, dropout: DropoutStream) -> Tensor:
    """As `Block.forward`."""
    precision = torch.bfloat16
    change = self.attention(self.attention_norm(x).to(precision), dropout)
    x = AddDropped.apply(x, change, mask_of(dropout))
    hidden = self.expand(self.feed_forward_norm(x).to(precision))
    hidden = GeluDropped.apply(hidden, mask_of(dropout))
    return AddDropped.apply(x, self.contract(hidden), mask_of(dropout))


def attend_narrow(qkv: Tensor, dropout: DropoutStream) -> Tensor:
    """As `attention._attend_narrow`."""
    return AttendedNarrow.apply(qkv, mask_of(dropout))


@contextmanager
def fused() -> Iterator[None]:
    """Networks compute with the kernels meanwhile."""
    before = patchtst.Block.forward, attention._attend_narrow
    patchtst.Block.forward = block_forward  # type: ignore[method-assign]
    attention._attend_narrow = attend_narrow
    try:
        yield
    finally:
        patchtst.Block.forward, attention._attend_narrow = before  # type: ignore[method-assign]


def check(shape: tuple[int, int, int, int]) -> float:
    """How far gradients without dropout are off, as a part of them: one rounding, not an error."""
    torch.manual_seed(0)
    model = patchtst.PatchTST.build(
        training_step.architecture(shape),
        num_features=training_step.data().n_features,
        matrix_dtype=torch.bfloat16,
    )
    windows, labels = training_step.data().gather(training_step.data().train[:32])

    def gradients() -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(model(windows, Dropout(0.0)), labels)
        found = torch.autograd.grad(loss, list(model.parameters()))
        return torch.cat([gradient.float().flatten() for gradient in found])

    true = gradients()
    with fused():
        return float((gradients() - true).norm() / true.norm())


def main() -> None:
    """Print the table."""
    print(
        "| d_model × n_layers, heads | as it is, ms | fused, ms | as it is / fused "
        "| as it is / without dropout | gradients differ by |"
    )
    print("|---" * 6 + "|")
    with_dropout = training_step.settings
    for shape in training_step.ARCHITECTURES:
        off = check(shape)
        step = training_step.our_step(shape, "bf16")
        training_step.settings = lambda: replace(with_dropout(), dropout=0.0)
        still = training_step.our_step(shape, "bf16")

        def take_fused(step: training_step.Step = step) -> None:
            with fused():
                step()

        def take_still(still: training_step.Step = still) -> None:
            training_step.settings = lambda: replace(with_dropout(), dropout=0.0)
            still()
            training_step.settings = with_dropout

        training_step.settings = with_dropout
        rounds = [
            [training_step.milliseconds(each) for each in (step, take_fused, take_still)]
            for _ in range(ROUNDS + 2)
        ][2:]
        now, then, _ = map(statistics.median, zip(*rounds, strict=True))
        won, most = (statistics.median(row[0] / row[other] for row in rounds) for other in (1, 2))
        d_model, n_layers, heads, _ = shape
        print(
            f"| {d_model} × {n_layers}, {heads} | {now:.0f} | {then:.0f} | {won:.2f} | {most:.2f} "
            f"| {off:.2%} |",
            flush=True,
        )


if __name__ == "__main__":
    set_torch_environment()
    if len(sys.argv) > 1:
        sys.exit(__doc__)
    main()

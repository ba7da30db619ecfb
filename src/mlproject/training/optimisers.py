"""The two optimisers: AdamW with fp32 master weights, and Adafactor for what would not fit.

Both are used alike: `backward` for one micro-batch after another (from any thread), its gradients
taken into the step by `accumulate`, then one `step`. AdamW needs all gradients at once, so that it
can clip their norm; Adafactor uses and frees each one in the middle of the backward pass.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mlproject.models.dropout import random_lanes
from mlproject.models.patchtst import PatchTST
from mlproject.training.plan import OptimiserName, TrainingPlan
from mlproject.training.settings import TrainingSettings

Gradients = Sequence[Tensor] | None
"""Of all weights, those of one kind in one tensor; None where they have been used already."""


class Optimiser(Protocol):
    """An optimiser turns the losses of a step's micro-batches into new weights."""

    learning_rate: float
    """Of the step; to be set before its first `backward`."""

    def backward(self, loss: Tensor) -> Gradients:
        """The gradients of one micro-batch's share of the loss."""

    def accumulate(self, gradients: Gradients) -> None:
        """Add one micro-batch's gradients to those of the step."""

    def step(self) -> None:
        """Update the weights, and begin the next step without gradients."""

    def zero_grad(self) -> None:
        """Drop the gradients of a step that could not be ended.

        Raises:
            RuntimeError: some of them have been used.
        """

    def state(self) -> dict[str, Any]:
        """What a continued training needs beside the weights: tensors and numbers."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""


def make_optimiser(plan: TrainingPlan, network: PatchTST, settings: TrainingSettings) -> Optimiser:
    """The plan's optimiser for this network."""
    if plan.optimiser is OptimiserName.ADAFACTOR:
        return Adafactor(network, settings)
    return AdamW(network, settings)


def weight_decay_of(weight: Tensor, settings: TrainingSettings) -> float:
    """The weight decay of one parameter."""
    is_spared = settings.recipe.decays_matrices_only and weight.dim() < 2
    return 0.0 if is_spared else settings.weight_decay


class AdamW:
    """AdamW as torch has it, on fp32 master weights, the gradients clipped by their norm.

    The network's own weights are the masters where they are fp32, and rounded copies of them where
    they are bf16 (Micikevicius et al., "Mixed Precision Training", ICLR 2018). All weights of one
    type, and of one weight decay, become parts of one tensor: a deep network has hundreds of small
    ones, and calling something for each of them takes longer than the arithmetic.
    """

    def __init__(self, network: PatchTST, settings: TrainingSettings) -> None:
        self._weights = list(network.parameters())
        decays = [weight_decay_of(weight, settings) for weight in self._weights]
        self._kinds = [
            (str(w.dtype), decay) for w, decay in zip(self._weights, decays, strict=True)
        ]
        self._groups = sorted(set(self._kinds))
        self._flat = [_flatten(self._of(group, self._weights)) for group in self._groups]
        self._masters = [
            flat if flat.dtype == torch.float32 else flat.float() for flat in self._flat
        ]
        self._clip_norm = settings.gradient_clip_norm
        by_decay: dict[float, list[Tensor]] = {}
        for master, (_, decay) in zip(self._masters, self._groups, strict=True):
            by_decay.setdefault(decay, []).append(master)
        self._adamw = torch.optim.AdamW(
            [{"params": masters, "weight_decay": decay} for decay, masters in by_decay.items()],
            fused=True,
        )
        self.learning_rate = settings.learning_rate

    def backward(self, loss: Tensor) -> Gradients:
        found = torch.autograd.grad(loss, self._weights)
        return [
            torch.cat([gradient.flatten() for gradient in self._of(group, found)])
            for group in self._groups
        ]

    def accumulate(self, gradients: Gradients) -> None:
        assert gradients is not None
        for master, gradient in zip(self._masters, gradients, strict=True):
            if master.grad is None:
                master.grad = gradient.float()
            else:
                master.grad += gradient

    @torch.no_grad()
    def step(self, rate: Tensor | None = None) -> None:
        """As `Optimiser.step`. A `rate`, a scalar on the weights' device, takes the place of
        `learning_rate`: a step that is recorded reads it anew each time it is repeated."""
        nn.utils.clip_grad_norm_(self._masters, self._clip_norm)
        for group in self._adamw.param_groups:
            group["lr"] = self.learning_rate if rate is None else rate
            group["capturable"] = rate is not None
        self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        for flat, master in zip(self._flat, self._masters, strict=True):
            if flat is not master:
                flat.copy_(master)

    def zero_grad(self) -> None:
        self._adamw.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        return {"masters": self._masters, "adamw": self._adamw.state_dict()}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        for master, saved in zip(self._masters, state["masters"], strict=True):
            master.copy_(saved)
        self._adamw.load_state_dict(state["adamw"])

    def _of(self, group: tuple[str, float], tensors: Sequence[Tensor]) -> list[Tensor]:
        return [tensor for tensor, kind in zip(tensors, self._kinds, strict=True) if kind == group]


@torch.no_grad()
def _flatten(weights: Sequence[Tensor]) -> Tensor:
    """Make the weights views of one tensor, one after the other, and return it."""
    flat = torch.cat([weight.flatten() for weight in weights])
    parts = flat.split([weight.numel() for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.data = part.view(weight.shape)
    return flat


class Adafactor:
    """Adafactor without momentum, every weight updated as soon as its gradient is there.

    Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (ICML 2018),
    algorithms 4 and 5 with an external learning rate: the second moments of a matrix are kept as
    its row and column means, the decay rate rises as 1 - t^-0.8, and an update whose root mean
    square exceeds 1 is scaled down to it, which takes the place of clipping gradients. Weight
    decay is decoupled as in AdamW. bf16 weights are rounded stochastically (Zamirai et al.,
    "Revisiting BFloat16 Training", 2020), since most updates are smaller than half a bf16 step
    and would be lost by rounding to nearest.

    One micro-batch a step: a gradient that was used is gone.
    """

    DECAY_EXPONENT = 0.8
    SQUARE_FLOOR = 1e-30
    LARGEST_UPDATE = 1.0

    def __init__(self, network: PatchTST, settings: TrainingSettings) -> None:
        self.learning_rate = settings.learning_rate
        self._settings = settings
        self._seed = settings.seed
        self._steps = 0
        self._moments: list[tuple[Tensor, ...]] = []
        for index, weight in enumerate(network.parameters()):
            shapes = (weight.shape[:1], weight.shape[1:]) if weight.dim() == 2 else (weight.shape,)
            self._moments.append(tuple(torch.zeros(s, device=weight.device) for s in shapes))
            weight.register_post_accumulate_grad_hook(
                lambda updated, index=index: self._update(updated, index)
            )

    def backward(self, loss: Tensor) -> Gradients:
        loss.backward()
        return None

    def accumulate(self, gradients: Gradients) -> None:
        """Nothing to do: the gradients were used in the backward pass."""

    def step(self) -> None:
        self._steps += 1

    def zero_grad(self) -> None:
        raise RuntimeError("a step of Adafactor cannot be taken back")

    def state(self) -> dict[str, Any]:
        return {"steps": self._steps, "moments": self._moments}

    def load(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]
        for moments, saved in zip(self._moments, state["moments"], strict=True):
            for moment, value in zip(moments, saved, strict=True):
                moment.copy_(value)

    @torch.no_grad()
    def _update(self, weight: Tensor, index: int) -> None:
        assert weight.grad is not None
        update = weight.grad.float()
        weight.grad = None
        decay = 1 - (self._steps + 1) ** -self.DECAY_EXPONENT
        square = update.square().add_(self.SQUARE_FLOOR)
        if update.dim() == 2:
            row, column = self._moments[index]
            row.lerp_(square.mean(dim=1), 1 - decay)
            column.lerp_(square.mean(dim=0), 1 - decay)
            update.mul_((row / row.mean()).rsqrt_().unsqueeze(1)).mul_(column.rsqrt())
        else:
            (moment,) = self._moments[index]
            moment.lerp_(square, 1 - decay)
            update.mul_(moment.rsqrt())
        del square
        root_mean_square = torch.linalg.vector_norm(update) / update.numel() ** 0.5
        update.div_((root_mean_square / self.LARGEST_UPDATE).clamp_(min=1.0))
        update.mul_(-self.learning_rate)
        decay_rate = weight_decay_of(weight, self._settings)
        update.add_(weight, alpha=1 - self.learning_rate * decay_rate)
        if weight.dtype == torch.bfloat16:
            round_stochastically(update, (self._seed, self._steps, index))
        weight.copy_(update)


def round_stochastically(values: Tensor, key: tuple[int, ...]) -> None:
    """Round fp32 values in place to bf16 ones, up or down at odds that keep the expected value.

    Sixteen random bits are added to the sixteen that bf16 drops, and these are then cut off.
    """
    bits = values.view(torch.int32)
    if values.device.type == "cpu":
        bits.add_(random_lanes(np.random.SFC64(key), values).view(torch.uint16).int())
    else:
        bits.add_(torch.randint_like(bits, 2**16))
    bits.bitwise_and_(-(2**16))

"""The network: a PatchTST-style binary classifier of one window of daily features.

After "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers" (Nie et al.,
ICLR 2023), with the features of a patch projected together instead of channel by channel.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mlproject.models.arch_grid import (
    N_PATCHES,
    N_POSITIONS,
    PATCH_DAYS,
    STRIDE_DAYS,
    Architecture,
)
from mlproject.models.attention import Attention
from mlproject.models.dropout import NO_DROPOUT, Dropout, DropoutStream

INITIAL_STD = 0.02
NORMALISATION_EPSILON = 1e-5


class Block(nn.Module):
    """A pre-norm transformer layer: attention and feed-forward, each added to its input.

    The residual stream and the norms keep the precision of the input; the matrix products have
    that of the matrices.
    """

    def __init__(self, d_model: int, n_heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, n_heads)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor, dropout: DropoutStream) -> Tensor:
        """One layer's output: (tokens, d_model) to the same shape."""
        precision = self.expand.weight.dtype
        x = x + dropout(self.attention(self.attention_norm(x).to(precision), dropout))
        hidden = functional.gelu(self.expand(self.feed_forward_norm(x).to(precision)))
        return x + dropout(self.contract(dropout(hidden)))


class PatchTST(nn.Module):
    """The network: it takes windows of daily features to one logit each.

    Each feature of a window is first normalised over the window's days (no learnable
    parameters), because prices of a later decade lie outside the range of the training years.
    """

    def __init__(self, architecture: Architecture, *, num_features: int) -> None:
        super().__init__()
        d_model = architecture.d_model
        self.projection = nn.Linear(PATCH_DAYS * num_features, d_model)
        self.positions = nn.Parameter(torch.empty(N_POSITIONS, d_model))
        self.blocks = nn.ModuleList(
            Block(d_model, architecture.n_heads, architecture.d_ff)
            for _ in range(architecture.n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(N_PATCHES * d_model, 1)
        self.reset_parameters()

    @classmethod
    def build(
        cls,
        architecture: Architecture,
        *,
        num_features: int,
        device: torch.device | str = "cpu",
        matrix_dtype: torch.dtype = torch.float32,
        seed_of_names: int | None = None,
    ) -> "PatchTST":
        """A network with fresh weights as of `reset_parameters`, the same on any device.

        `matrix_dtype` is the type of the weights and biases of the blocks' linear layers, nearly
        all of the parameters; all others stay fp32. No more memory is taken on the way than the
        finished network needs and one matrix in fp32.
        """
        with torch.device("meta"):
            network = cls(architecture, num_features=num_features)
        for module in network.blocks.modules():
            if isinstance(module, nn.Linear):
                module.to(matrix_dtype)
        network.to_empty(device=device)
        network.reset_parameters(seed_of_names=seed_of_names)
        return network

    def reset_parameters(
        self,
        write: Callable[[Tensor, Tensor], object] = Tensor.copy_,
        *,
        seed_of_names: int | None = None,
    ) -> None:
        """Draw the weights anew; `write` puts a whole matrix into a parameter that may hold a part.

        They come from torch's default generator, one after the other, or each from its own name
        and `seed_of_names`: what two architectures share is then the same in both.

        Matrices from N(0, 0.02); those that write to the residual stream divided by √(2·layers),
        so that its variance does not grow with depth (Radford et al., "Language Models are
        Unsupervised Multitask Learners", 2019, section 2.3); biases zero.
        """
        names: dict[Tensor, str] = {weight: name for name, weight in self.named_parameters()}

        def draw(weight: Tensor, std: float) -> None:
            """Fill with N(0, std), drawn in fp32 on the CPU: type and device change no weight."""
            if weight.device.type == "meta":
                return
            generator = None
            if seed_of_names is not None:
                key = (seed_of_names, *names[weight].encode())
                state = np.random.SeedSequence(key).generate_state(1, np.uint64)
                generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
            with torch.no_grad():
                write(weight, torch.empty(weight.shape).normal_(std=std, generator=generator))

        for module in self.modules():
            if isinstance(module, nn.Linear):
                draw(module.weight, INITIAL_STD)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        draw(self.positions, INITIAL_STD)
        residual_std = INITIAL_STD / math.sqrt(2 * len(self.blocks))
        for block in self.blocks:
            assert isinstance(block, Block)
            draw(block.attention.output.weight, residual_std)
            draw(block.contract.weight, residual_std)

    def forward(
        self, windows: Tensor, dropout: Dropout = NO_DROPOUT, *, checkpoint_every: int = 0
    ) -> Tensor:
        """The logits (batch,) of windows (batch, days, features).

        With `checkpoint_every` only the input of every so-many layers is kept for the backward
        pass, which computes what lies between again (Chen et al., "Training Deep Nets with
        Sublinear Memory Cost", 2016). The gradients are the same.
        """
        patches = normalise_windows(windows).unfold(1, PATCH_DAYS, STRIDE_DAYS).flatten(2)
        x = self.projection(patches) + self.positions[:N_PATCHES]
        x = dropout.at(0)(x).flatten(0, 1)
        if checkpoint_every:
            for first in range(0, len(self.blocks), checkpoint_every):
                layers = range(first, min(first + checkpoint_every, len(self.blocks)))
                x = checkpoint(
                    self._run,
                    x,
                    dropout,
                    layers,
                    use_reentrant=False,
                    preserve_rng_state=x.device.type != "cpu",
                )
        else:
            x = self._run(x, dropout, range(len(self.blocks)))
        logits: Tensor = self.head(self.norm(x).view(len(windows), -1)).squeeze(1)
        return logits

    def _run(self, x: Tensor, dropout: Dropout, layers: Sequence[int]) -> Tensor:
        for layer in layers:
            x = self.blocks[layer](x, dropout.at(layer + 1))
        return x


def normalise_windows(windows: Tensor) -> Tensor:
    """Windows (batch, days, features) with mean 0 and variance 1 of each feature over the days."""
    mean = windows.mean(dim=1, keepdim=True)
    variance = windows.var(dim=1, keepdim=True, correction=0)
    return (windows - mean) * torch.rsqrt(variance + NORMALISATION_EPSILON)

"""The network: a PatchTST-style binary classifier of one window of daily features.

After "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers" (Nie et al.,
ICLR 2023), with the features of a patch projected together instead of channel by channel. Plain
torch: the blocks know nothing of devices, precision or memory plans.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlproject.models.arch_grid import (
    N_PATCHES,
    N_POSITIONS,
    PATCH_DAYS,
    STRIDE_DAYS,
    Architecture,
)
from mlproject.models.dropout import Dropout

INITIAL_STD = 0.02
NORMALISATION_EPSILON = 1e-5


class Attention(nn.Module):
    """Multi-head self-attention over the patches."""

    def __init__(self, d_model: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, patches, d_model) to the same shape."""
        batch, patches, d_model = x.shape
        qkv = self.qkv(x).view(batch, patches, 3, self.n_heads, d_model // self.n_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.output(mixed.transpose(1, 2).reshape(batch, patches, d_model))


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, d_model: int, n_heads: int, d_ff: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, n_heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, patches, d_model) to the same shape."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        hidden = functional.gelu(self.expand(self.feed_forward_norm(x)))
        return x + self.dropout(self.contract(self.dropout(hidden)))


class PatchTST(nn.Module):
    """Windows of daily features to one logit each.

    Each feature of a window is first normalised over the window's days (no learnable
    parameters), because prices of a later decade lie outside the range of the training years.
    """

    def __init__(self, architecture: Architecture, *, num_features: int, dropout: float) -> None:
        super().__init__()
        d_model = architecture.d_model
        self.projection = nn.Linear(PATCH_DAYS * num_features, d_model)
        self.positions = nn.Parameter(torch.empty(N_POSITIONS, d_model))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(d_model, architecture.n_heads, architecture.d_ff, dropout)
            for _ in range(architecture.n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(N_PATCHES * d_model, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew.

        Matrices from N(0, 0.02); those that write to the residual stream divided by √(2·layers),
        so that its variance does not grow with depth (Radford et al., "Language Models are
        Unsupervised Multitask Learners", 2019, section 2.3); biases zero.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_STD)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        nn.init.normal_(self.positions, std=INITIAL_STD)
        residual_std = INITIAL_STD / math.sqrt(2 * len(self.blocks))
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.normal_(block.attention.output.weight, std=residual_std)
            nn.init.normal_(block.contract.weight, std=residual_std)

    def forward(self, windows: Tensor) -> Tensor:
        """(batch, days, features) to logits (batch,)."""
        mean = windows.mean(dim=1, keepdim=True)
        variance = windows.var(dim=1, keepdim=True, correction=0)
        windows = (windows - mean) * torch.rsqrt(variance + NORMALISATION_EPSILON)
        patches = windows.unfold(1, PATCH_DAYS, STRIDE_DAYS).flatten(2)
        x = self.dropout(self.projection(patches) + self.positions[:N_PATCHES])
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x).flatten(1)).squeeze(1)
        return logits

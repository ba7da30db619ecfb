"""The network: what it computes, not how many parameters it has (see test_arch_grid)."""

from dataclasses import replace

import pytest
import torch

from mlproject.models.arch_grid import Architecture
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=3, n_heads=4, d_ff=128, param_count=0)


@pytest.fixture
def network() -> PatchTST:
    torch.manual_seed(0)
    return PatchTST(ARCHITECTURE, num_features=25)


def test_one_logit_for_each_window(network: PatchTST) -> None:
    assert network(torch.randn(7, 60, 25)).shape == (7,)


def test_windows_do_not_see_each_other(network: PatchTST) -> None:
    windows = torch.randn(5, 60, 25)
    together = network(windows)
    alone = torch.cat([network(window.unsqueeze(0)) for window in windows])
    torch.testing.assert_close(together, alone)


def test_dropout_acts_where_it_is_asked_for(network: PatchTST) -> None:
    windows = torch.randn(3, 60, 25)
    assert torch.equal(network(windows), network(windows))
    dropped = [network(windows, Dropout(0.2, (step,))) for step in (0, 1)]
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(dropped[0], network(windows, Dropout(0.2, (0,))))


def test_every_day_and_every_parameter_but_spare_positions_matters(network: PatchTST) -> None:
    windows = torch.randn(4, 60, 25, requires_grad=True)
    network(windows).sum().backward()
    assert windows.grad is not None
    assert (windows.grad.abs().amax(dim=(0, 2)) > 0).all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if name == "positions":
            assert (parameter.grad[:11].abs().amax(dim=1) > 0).all()
            assert (parameter.grad[11:] == 0).all()
        elif name.endswith("qkv.bias"):
            query, key, value = parameter.grad.chunk(3)
            assert query.abs().max() > 0
            assert value.abs().max() > 0
            # A bias shared by all keys shifts all scores of a query alike: softmax drops it.
            assert key.abs().max() < 1e-4
        else:
            assert parameter.grad.abs().max() > 0, name


def test_the_level_and_scale_of_a_feature_do_not_matter(network: PatchTST) -> None:
    windows = torch.randn(4, 60, 25, dtype=torch.float64)
    network.double()
    torch.testing.assert_close(network(windows), network(windows * 3 + 100), atol=1e-4, rtol=0)


def test_a_constant_feature_is_finite(network: PatchTST) -> None:
    windows = torch.randn(2, 60, 25)
    windows[:, :, 3] = 7.0
    assert torch.isfinite(network(windows)).all()


def _reference(network: PatchTST, windows: torch.Tensor) -> torch.Tensor:
    """The network written down once more from its formulas, with none of its parts' code."""
    windows = (windows - windows.mean(1, keepdim=True)) / torch.sqrt(
        windows.var(1, keepdim=True, unbiased=False) + 1e-5
    )
    patches = torch.stack([windows[:, 5 * i : 5 * i + 10].transpose(1, 2) for i in range(11)], 1)
    x = patches.flatten(2) @ network.projection.weight.T + network.projection.bias
    x = x + network.positions[:11]
    for block in network.blocks:
        attention = block.attention
        size = ARCHITECTURE.d_model // attention.n_heads
        qkv = attention.qkv(block.attention_norm(x)).split(ARCHITECTURE.d_model, dim=-1)
        heads = []
        for head in range(attention.n_heads):
            q, k, v = (part[..., size * head : size * (head + 1)] for part in qkv)
            heads.append(torch.softmax(q @ k.transpose(1, 2) / size**0.5, dim=-1) @ v)
        x = x + attention.output(torch.cat(heads, dim=-1))
        hidden = block.expand(block.feed_forward_norm(x))
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        x = x + block.contract(hidden)
    return network.head(network.norm(x).flatten(1)).squeeze(1)


def _logits_and_gradients(
    logits: torch.Tensor, network: PatchTST
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    gradients = torch.autograd.grad(logits.square().sum(), list(network.parameters()))
    return logits.detach().double(), [gradient.double() for gradient in gradients]


@pytest.mark.parametrize("n_heads", [2, 16, 32])  # wide and narrow heads take different ways
@pytest.mark.parametrize(
    ("matrix_dtype", "allowed"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]
)
def test_it_computes_what_its_formulas_say(
    matrix_dtype: torch.dtype, allowed: float, n_heads: int
) -> None:
    torch.manual_seed(3)
    architecture = replace(ARCHITECTURE, n_heads=n_heads)
    network = PatchTST.build(architecture, num_features=25, matrix_dtype=matrix_dtype)
    with torch.no_grad():
        for parameter in network.parameters():  # biases and norms that do something
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    exact = PatchTST(architecture, num_features=25).double()
    exact.load_state_dict(network.state_dict())
    windows = torch.randn(16, 60, 25)
    logits, gradients = _logits_and_gradients(network(windows), network)
    true_logits, true_gradients = _logits_and_gradients(_reference(exact, windows.double()), exact)
    pairs = [(logits, true_logits), *zip(gradients, true_gradients, strict=True)]
    for computed, true in pairs:
        assert (computed - true).norm() <= allowed * max(true.norm(), 1e-3)


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_checkpoints_of_activations_change_nothing(every: int) -> None:
    torch.manual_seed(4)
    network = PatchTST.build(ARCHITECTURE, num_features=25, matrix_dtype=torch.bfloat16)
    windows = torch.randn(8, 60, 25)
    plain, checkpointed = (
        _logits_and_gradients(network(windows, Dropout(0.3, (5,)), checkpoint_every=n), network)
        for n in (0, every)
    )
    assert torch.equal(plain[0], checkpointed[0])
    for one, other in zip(plain[1], checkpointed[1], strict=True):
        assert torch.equal(one, other)


def test_the_type_of_the_matrices_changes_the_fresh_weights_by_rounding_only() -> None:
    networks = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(5)
        networks.append(PatchTST.build(ARCHITECTURE, num_features=25, matrix_dtype=dtype))
    for exact, rounded in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(exact.to(rounded.dtype), rounded)
    types = {name: p.dtype for name, p in networks[1].named_parameters()}
    assert types["blocks.0.attention.qkv.weight"] == torch.bfloat16
    assert types["blocks.0.attention_norm.weight"] == torch.float32
    assert types["head.weight"] == types["projection.weight"] == torch.float32

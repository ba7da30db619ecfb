"""The network: what it computes, not how many parameters it has (see test_arch_grid)."""

import pytest
import torch

from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=3, n_heads=4, d_ff=128, param_count=0)


@pytest.fixture
def network() -> PatchTST:
    torch.manual_seed(0)
    return PatchTST(ARCHITECTURE, num_features=25, dropout=0.2)


def test_one_logit_for_each_window(network: PatchTST) -> None:
    assert network(torch.randn(7, 60, 25)).shape == (7,)


def test_windows_do_not_see_each_other(network: PatchTST) -> None:
    network.eval()
    windows = torch.randn(5, 60, 25)
    together = network(windows)
    alone = torch.cat([network(window.unsqueeze(0)) for window in windows])
    torch.testing.assert_close(together, alone)


def test_dropout_acts_in_training_only(network: PatchTST) -> None:
    windows = torch.randn(3, 60, 25)
    network.train()
    assert not torch.equal(network(windows), network(windows))
    network.eval()
    assert torch.equal(network(windows), network(windows))


def test_every_day_and_every_parameter_but_spare_positions_matters(network: PatchTST) -> None:
    network.eval()
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
    network.eval()
    windows = torch.randn(4, 60, 25, dtype=torch.float64)
    network.double()
    torch.testing.assert_close(network(windows), network(windows * 3 + 100), atol=1e-4, rtol=0)


def test_a_constant_feature_is_finite(network: PatchTST) -> None:
    windows = torch.randn(2, 60, 25)
    windows[:, :, 3] = 7.0
    assert torch.isfinite(network(windows)).all()

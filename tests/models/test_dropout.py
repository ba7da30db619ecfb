"""Dropout: the distribution of torch's own, and its gradient."""

import pytest
import torch

from mlproject.models.dropout import Dropout

N = 1_000_003  # no multiple of the lanes of a draw


@pytest.mark.parametrize("probability", [0.1, 0.21515, 0.3, 0.5, 0.9])
def test_it_drops_at_its_rate_and_keeps_the_mean(probability: float) -> None:
    torch.manual_seed(0)
    out = Dropout(probability)(torch.ones(N))
    kept = out[out != 0]
    deviation = (probability * (1 - probability) / N) ** 0.5
    assert abs((out == 0).float().mean().item() - probability) < 5 * deviation
    assert kept.min() == kept.max()
    assert kept[0].item() == pytest.approx(1 / (1 - probability), rel=1e-4)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(1)
    dropped = (Dropout(0.3)(torch.ones(N)) == 0).float() - 0.3
    variance = 0.3 * 0.7
    for distance in (1, 2, 3, 4, 8, 64):
        covariance = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert abs(covariance) < 5 * variance / N**0.5


def test_two_masks_differ_and_a_seed_repeats_them() -> None:
    x = torch.ones(64, 64)
    torch.manual_seed(2)
    first, second = Dropout(0.5)(x), Dropout(0.5)(x)
    torch.manual_seed(2)
    assert not torch.equal(first, second)
    assert torch.equal(Dropout(0.5)(x), first)


def test_the_gradient_passes_where_the_value_did() -> None:
    x = torch.randn(50, 7, dtype=torch.float64, requires_grad=True)
    out = Dropout(0.4)(x)
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, out)


def test_it_is_the_identity_outside_training_and_at_zero() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.9).eval()(x) is x

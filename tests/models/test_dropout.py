"""Dropout: the distribution of torch's own, its gradient, and masks that follow from their key."""

import pytest
import torch

from mlproject.models.dropout import Dropout

N = 1_000_003  # no multiple of the lanes of a draw
TYPES = (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("probability", [0.1, 0.21515, 0.3, 0.5, 0.9])
def test_it_drops_at_its_rate_and_keeps_the_mean(probability: float, dtype: torch.dtype) -> None:
    out = Dropout(probability, (0,)).at(0)(torch.ones(N, dtype=dtype))
    kept = out[out != 0]
    deviation = (probability * (1 - probability) / N) ** 0.5
    assert abs((out == 0).float().mean().item() - probability) < 5 * deviation
    assert kept.min() == kept.max()
    precision = 1e-4 if dtype == torch.float32 else 2**-8
    assert kept[0].item() == pytest.approx(1 / (1 - probability), rel=precision)


def test_neighbours_are_independent() -> None:
    dropped = (Dropout(0.3, (1,)).at(0)(torch.ones(N)) == 0).float() - 0.3
    variance = 0.3 * 0.7
    for distance in (1, 2, 3, 4, 8, 64):
        covariance = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert abs(covariance) < 5 * variance / N**0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (((3, 0, 0), 1), ((3, 0, 0), 2)),
        (((3, 0, 0), 1), ((3, 1, 0), 1)),
        (((3, 0), 1), ((3, 1), 0)),
    ],
)
def test_the_masks_of_two_keys_are_independent(
    one: tuple[tuple[int, ...], int], other: tuple[tuple[int, ...], int]
) -> None:
    first, second = (
        (Dropout(0.5, key).at(place)(torch.ones(N)) == 0).float() - 0.5
        for key, place in (one, other)
    )
    assert abs((first * second).mean().item()) < 5 * 0.25 / N**0.5


def test_the_masks_of_a_stream_differ_and_its_key_repeats_them() -> None:
    x = torch.ones(64, 64)
    stream = Dropout(0.5, (2,)).at(7)
    first, second = stream(x), stream(x)
    assert not torch.equal(first, second)
    again = Dropout(0.5, (2,)).at(7)
    assert torch.equal(again(x), first)
    assert torch.equal(again(x), second)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_gradient_passes_where_the_value_did(dtype: torch.dtype) -> None:
    x = torch.ones(50, 7, dtype=dtype, requires_grad=True)
    out = Dropout(0.4, (3,)).at(0)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out)


def test_it_is_the_identity_at_zero() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.0).at(0)(x) is x

"""The optimisers: what their papers say, and rounding that loses nothing on average."""

from dataclasses import replace

import pytest
import torch

from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.training.optimisers import Adafactor, AdamW, round_stochastically
from mlproject.training.settings import TrainingSettings

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=2, n_heads=4, d_ff=128, param_count=0)
SETTINGS = TrainingSettings(
    learning_rate=1e-2,
    epochs=1,
    batch_size=8,
    weight_decay=0.1,
    warmup_steps=0,
    dropout=0.0,
    seed=3,
)


def _network(dtype: torch.dtype = torch.float32) -> PatchTST:
    torch.manual_seed(0)
    network = PatchTST.build(ARCHITECTURE, num_features=5, matrix_dtype=dtype)
    with torch.no_grad():
        network.head.weight.normal_(std=0.1)
    return network


def _losses(network: PatchTST, windows: torch.Tensor, parts: int) -> list[torch.Tensor]:
    return [
        network(part).square().sum() / len(windows) for part in windows.split(len(windows) // parts)
    ]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_adamw_takes_the_step_of_the_whole_batch(parts: int) -> None:
    windows = torch.randn(8, 60, 5)
    ours, theirs = _network(), _network()
    optimiser = AdamW(ours, SETTINGS)
    reference = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        for loss in _losses(ours, windows, parts):
            optimiser.accumulate(optimiser.backward(loss))
        optimiser.step()
        reference.zero_grad()
        _losses(theirs, windows, 1)[0].backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), SETTINGS.gradient_clip_norm)
        reference.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=0)


def test_adamw_keeps_what_is_too_small_for_bf16() -> None:
    network = _network(torch.bfloat16)
    tiny = replace(SETTINGS, learning_rate=1e-6, weight_decay=0.0)
    optimiser = AdamW(network, tiny)
    weight = network.blocks[0].expand.weight
    before = weight.detach().clone()
    for _ in range(400):
        total = torch.stack([parameter.sum().float() for parameter in network.parameters()]).sum()
        optimiser.accumulate(optimiser.backward(total))
        optimiser.step()
    # Every single step is below half a bf16 step of most weights; four hundred are not.
    assert (weight.detach() - before).float().mean().item() == pytest.approx(-4e-4, rel=0.05)


def test_the_first_adafactor_step_is_the_sign_of_a_gradient_of_rank_one() -> None:
    network = _network()
    optimiser = Adafactor(network, replace(SETTINGS, weight_decay=0.0))
    weight = network.blocks[1].contract.weight
    before = weight.detach().clone()
    rows, columns = torch.rand(64, 1) + 0.1, torch.randn(1, 128)
    optimiser.backward((weight * rows * columns).sum())
    optimiser.step()
    expected = -0.01 * (rows * columns).sign()
    torch.testing.assert_close(weight.detach() - before, expected, atol=1e-5, rtol=0)
    assert weight.grad is None


def test_adafactor_limits_an_update_to_a_root_mean_square_of_one() -> None:
    network = _network()
    optimiser = Adafactor(network, replace(SETTINGS, weight_decay=0.0))
    bias = network.projection.bias
    optimiser.backward((bias * 1e-6).sum())
    optimiser.step()
    before = bias.detach().clone()
    optimiser.backward((bias * 1e6).sum())  # far more than the moments have seen
    step = (bias.detach() - before).square().mean().sqrt().item()
    assert step == pytest.approx(0.01, rel=1e-3)


def test_adafactor_decays_weights_beside_the_gradient() -> None:
    network = _network()
    optimiser = Adafactor(network, SETTINGS)
    weight = network.projection.weight
    before = weight.detach().clone()
    optimiser.backward((weight * 0).sum())
    torch.testing.assert_close(weight.detach(), before * (1 - 0.01 * 0.1))


@pytest.mark.parametrize("value", [1.0, 1.001, -3.1415926, 1e-20, 2.9e30, 0.0])
def test_stochastic_rounding_keeps_the_expected_value(value: float) -> None:
    values = torch.full((400_000,), value)
    round_stochastically(values, (1, 2, 3))
    assert torch.equal(values.bfloat16().float(), values)
    low, high = values.min().item(), values.max().item()
    assert low <= torch.tensor(value).item() <= high
    # Of the two neighbours each is drawn at odds of their distance: five deviations at most.
    spread = (high - low) / 2
    assert abs(values.double().mean().item() - torch.tensor(value).item()) <= max(
        5 * spread / 400_000**0.5, 1e-12 * abs(value)
    )


def test_stochastic_rounding_repeats_with_its_key() -> None:
    drawn = [torch.full((1000,), 1.001) for _ in range(3)]
    for values, step in zip(drawn, (4, 4, 5), strict=True):
        round_stochastically(values, (0, step, 0))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_adafactor_moves_bf16_weights_by_steps_they_cannot_hold() -> None:
    network = _network(torch.bfloat16)
    optimiser = Adafactor(network, replace(SETTINGS, learning_rate=1e-6, weight_decay=0.0))
    weight = network.blocks[0].expand.weight
    before = weight.detach().float()
    for _ in range(400):
        optimiser.backward(weight.float().sum())
        optimiser.step()
    moved = (weight.detach().float() - before).mean().item()
    assert moved == pytest.approx(-4e-4, rel=0.05)

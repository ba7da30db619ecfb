"""The learning rate schedule."""

import pytest

from mlproject.training.schedule import learning_rate_factor


def test_the_learning_rate_warms_up_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(s, warmup_steps=10, total_steps=100) for s in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == pytest.approx(1.0)
    assert factors[10] == pytest.approx(1.0)
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_a_warm_up_longer_than_the_training_never_leaves_the_ramp() -> None:
    factors = [learning_rate_factor(s, warmup_steps=500, total_steps=10) for s in range(10)]
    assert factors == [(s + 1) / 500 for s in range(10)]

"""Means over days that go together: the intervals hold as often as they say."""

import math

import numpy as np
import pytest
from scipy.signal import lfilter

from mlproject.analysis.claims.day_means import Floats, intervals_of_means

DAYS = 740
STUDIES = 400


def _autoregression(generator: np.random.Generator, memory: float, series: int) -> Floats:
    """Series that forget in `memory` days, around zero."""
    keeps = math.exp(-1 / memory)
    shocks = generator.normal(size=(series, DAYS + 500))
    return lfilter([1], [1, -keeps], shocks, axis=1)[:, 500:]


@pytest.mark.parametrize("memory", [1, 10, 40])
def test_false_verdicts_are_few_at_any_memory(memory: float) -> None:
    """Five per cent are meant; beyond seven and a half would be two standard errors too many."""
    series = _autoregression(np.random.default_rng(0), memory, STUDIES)
    found = [intervals_of_means(one[None])[0] for one in series]
    assert sum(not each.low <= 0 <= each.high for each in found) / STUDIES <= 0.075


def test_joint_intervals_hold_at_once() -> None:
    generator = np.random.default_rng(1)
    missed = 0
    for _ in range(100):
        common, *others = _autoregression(generator, 20, 4)
        found = intervals_of_means(common - np.stack(others))
        missed += any(not each.joint_low <= 0 <= each.joint_high for each in found)
        assert all(each.joint_high > each.high > each.low > each.joint_low for each in found)
    assert missed <= 10


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_that_differ_make_no_false_verdict(seeds: int) -> None:
    generator = np.random.default_rng(2)
    missed = 0
    for days in _autoregression(generator, 5, STUDIES):
        of_seeds = generator.normal(0, 0.5, seeds)
        repeats = (days.mean() + of_seeds)[None]
        (found,) = intervals_of_means((days + of_seeds.mean())[None], repeats=repeats)
        missed += not found.low <= 0 <= found.high
    assert missed / STUDIES <= 0.075


def test_a_difference_of_size_is_found() -> None:
    series = 0.5 + _autoregression(np.random.default_rng(3), 3, 100)
    found = [intervals_of_means(one[None])[0] for one in series / series.std()]
    assert sum(each.low > 0 for each in found) >= 40


def test_nothing_varies_and_nothing_is_uncertain() -> None:
    (found,) = intervals_of_means(np.zeros((1, 79)))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_one_day_says_nothing() -> None:
    (found,) = intervals_of_means(np.ones((1, 1)))
    assert (found.mean, found.low, found.high) == (1, -math.inf, math.inf)

"""What is said of size: little is said where there is nothing, and a law that is there is found."""

import math

import numpy as np
import pytest

from mlproject.analysis.claims.size_effect import (
    LEAST_TRIALS,
    NoSizeEffect,
    SizedStudy,
    SizeEffect,
    SizeVerdict,
    size_effect,
)

SIZES = (2e6, 2e7, 2e8, 2e9)
REPEATS = 150


def _study(
    generator: np.random.Generator,
    size: float,
    *,
    trials: int = 30,
    exponent: float = 0.0,
    offset: float = 0.0,
    noise: float = 0.006,
    pruned: float = 0.0,
) -> SizedStudy:
    """Losses about 0.57 · (parameters / 2M)^-exponent; the worst by an early look are pruned."""
    level = 0.57 * (size / 2e6) ** -exponent + generator.normal(0, offset)
    luck = generator.normal(0, noise / 2, trials) + noise * generator.exponential(size=trials)
    early = luck + generator.normal(0, noise, trials)
    complete = early <= np.quantile(early, 1 - pruned)
    return SizedStudy(params=size, losses=level + luck, complete=complete)


def _claimed(*, repeats: int = REPEATS, **changes: object) -> float:
    """The share of comparisons in which something is claimed; changes name an argument of `_study`
    and give its value for each size."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(repeats):
        studies = [
            _study(generator, size, **{name: each[n] for name, each in changes.items()})  # type: ignore[index]
            for n, size in enumerate(SIZES)
        ]
        found = size_effect(studies)
        claims += isinstance(found, SizeEffect) and found.verdict is not SizeVerdict.CANNOT_BE_TOLD
    return claims / repeats


def test_an_exact_law_is_found_exactly() -> None:
    generator = np.random.default_rng(0)
    law = size_effect([_study(generator, size, exponent=0.05, noise=0.0) for size in SIZES])
    assert isinstance(law, SizeEffect)
    assert law.verdict is SizeVerdict.HELPS
    assert law.per_tenfold == pytest.approx((10**-0.05 - 1,) * 3)
    params = np.geomspace(1e6, 1e10, 5)
    for line in law.line(params):
        assert line == pytest.approx(0.57 * (params / 2e6) ** -0.05)


@pytest.mark.parametrize(
    "row",
    [
        {"trials": (10, 10, 50, 50), "offset": (0.002,) * 4},
        {"noise": (0.006, 0.006, 0.006, 0.012), "offset": (0.002,) * 4},
        {"noise": (0.006, 0.008, 0.01, 0.012), "offset": (0.002,) * 4},
        {"pruned": (0, 0, 0, 0.5), "offset": (0.002,) * 4},
        {"offset": (0.004,) * 4},
    ],
    ids=["unequal numbers", "a noisy size", "noise grows with size", "half pruned", "offsets"],
)
def test_where_size_does_nothing_nothing_is_claimed(row: dict[str, object]) -> None:
    """Five per cent are meant at most; in 150 comparisons 13 would be two standard errors more."""
    assert _claimed(**row) <= 13 / REPEATS


def test_a_real_law_over_four_sizes_is_found() -> None:
    """One and a half per cent a tenfold, beside studies that differ by 0.002 for nothing."""
    assert _claimed(exponent=(0.0066,) * 4, offset=(0.002,) * 4) >= 0.8


def test_a_study_searched_longer_does_not_look_better_for_it() -> None:
    """The best of 200 trials is lower than the best of 12; that of the first 12 is not."""
    generator = np.random.default_rng(1)
    slopes = []
    for _ in range(REPEATS):
        studies = [
            _study(generator, size, trials=trials, noise=0.05)
            for size, trials in zip(SIZES, (12, 12, 200, 200), strict=True)
        ]
        found = size_effect(studies)
        assert isinstance(found, SizeEffect) and found.trials == 12
        slopes.append(found.slope)
    assert abs(np.mean(slopes)) < 0.002


def test_the_interval_holds_the_true_slope() -> None:
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        law = size_effect([_study(generator, s, exponent=0.02, offset=0.003) for s in SIZES])
        assert isinstance(law, SizeEffect)
        held += law.low <= -0.02 * math.log(10) <= law.high
    assert held >= 95


def test_what_further_studies_would_show_is_what_they_show() -> None:
    """A slope as large as is said to be detectable is detected about as often as is said."""
    generator = np.random.default_rng(3)
    first = [
        size_effect([_study(generator, size, offset=0.003, trials=50) for size in SIZES])
        for _ in range(60)
    ]
    needed = float(np.median([each.detectable for each in first if isinstance(each, SizeEffect)]))
    exponents = (needed / math.log(10),) * 4
    assert 0.6 < _claimed(exponent=exponents, offset=(0.003,) * 4, trials=(50,) * 4) < 0.97
    more = [each for each in first if isinstance(each, SizeEffect)]
    assert all(each.detectable_with_more_studies < each.detectable for each in more)
    assert all(each.detectable_with_more_trials <= each.detectable for each in more)


def test_the_same_trials_give_the_same_answer() -> None:
    studies = [_study(np.random.default_rng(1), size, offset=0.001) for size in SIZES]
    one, other = size_effect(studies), size_effect(studies)
    assert isinstance(one, SizeEffect) and isinstance(other, SizeEffect)
    assert (one.low, one.high, one.detectable) == (other.low, other.high, other.detectable)


@pytest.mark.parametrize(
    ("sizes", "trials", "said"),
    [
        ((), (), "no size"),
        ((2e6,), (30,), "one size"),
        ((2e6, 2e7), (30, 30), "two sizes"),
        ((2e6, 2.2e6, 2e7), (30, 30, 30), "two sizes"),
        ((2e6, 2e7, 2e8), (30, 30, LEAST_TRIALS - 1), "two sizes"),
    ],
)
def test_where_nothing_can_be_told_the_reason_is_said(
    sizes: tuple[float, ...], trials: tuple[int, ...], said: str
) -> None:
    generator = np.random.default_rng(0)
    studies = [_study(generator, s, trials=n) for s, n in zip(sizes, trials, strict=True)]
    found = size_effect(studies)
    assert isinstance(found, NoSizeEffect) and found.reason.startswith(said)


def test_half_of_the_trials_stopped_without_a_loss_leave_no_middle() -> None:
    generator = np.random.default_rng(0)
    studies = [_study(generator, size, pruned=0.5) for size in SIZES[:3]]
    blind = [
        SizedStudy(
            params=each.params,
            losses=np.where(each.complete, each.losses, np.inf),
            complete=each.complete,
        )
        for each in studies
    ]
    assert isinstance(size_effect(studies), SizeEffect)
    found = size_effect(blind)
    assert isinstance(found, NoSizeEffect) and "pruned or diverged" in found.reason

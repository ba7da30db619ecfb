"""The power law: finds what is there, and says how sure it is."""

import numpy as np
import pytest

from mlproject.analysis.report.power_law import LEAST_TRIALS, Floats, fit_power_law

Study = tuple[Floats, Floats]


def _study(
    size: float, trials: int, seed: int, *, exponent: float = 0.05, noise: float = 0.02
) -> Study:
    """Losses of 3 · parameters^-exponent, worse by what settings happened to be drawn."""
    generator = np.random.default_rng(seed)
    params = size * generator.uniform(0.75, 1.25, trials)
    return params, 3 * params**-exponent * np.exp(noise * generator.exponential(size=trials))


def test_an_exact_law_is_found_exactly() -> None:
    law = fit_power_law([_study(size, 20, 0, noise=0.0) for size in (2e6, 20e6, 200e6)])
    assert law is not None
    assert law.exponent == pytest.approx(0.05)
    assert law.loss == pytest.approx(3 * law.params**-0.05)
    assert (law.exponent_low, law.exponent_high) == pytest.approx((0.05, 0.05))
    assert law.per_tenfold == pytest.approx((10**-0.05 - 1,) * 3)


@pytest.mark.slow
def test_the_interval_holds_the_true_exponent_about_as_often_as_it_says() -> None:
    held = 0
    for repeat in range(40):
        law = fit_power_law([_study(s, 50, 3 * repeat + n) for n, s in enumerate((2e6, 2e7, 2e8))])
        assert law is not None
        held += law.exponent_low <= 0.05 <= law.exponent_high
        assert (law.low <= law.loss).mean() > 0.9
        assert (law.loss <= law.high).mean() > 0.9
    assert held >= 32


@pytest.mark.slow
def test_a_study_searched_longer_does_not_look_better_for_it() -> None:
    """The best of 200 trials is lower than the best of 12; the best fifth is not."""
    slopes = []
    for repeat in range(60):
        short = _study(2e6, 12, repeat, exponent=0.0, noise=0.1)
        long = _study(20e6, 200, 1000 + repeat, exponent=0.0, noise=0.1)
        law = fit_power_law([short, long])
        assert law is not None
        slopes.append(law.exponent)
    assert abs(np.mean(slopes)) < 0.002


def test_the_same_trials_give_the_same_band() -> None:
    studies = [_study(size, 30, 1) for size in (2e6, 20e6)]
    one, other = fit_power_law(studies), fit_power_law(studies)
    assert one is not None and other is not None
    assert one.low == pytest.approx(other.low, abs=0)


@pytest.mark.parametrize(
    "studies",
    [
        [],
        [_study(2e6, 50, 0)],
        [_study(2e6, 50, 0), _study(2e6, 50, 1)],
        [_study(2e6, 50, 0), _study(20e6, LEAST_TRIALS - 1, 1)],
    ],
    ids=["none", "one", "one size", "too few trials"],
)
def test_where_nothing_can_be_fitted_nothing_is(studies: list[Study]) -> None:
    assert fit_power_law(studies) is None

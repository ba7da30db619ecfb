"""Studies that share a training are each the study that the program would make of its markets."""

import pytest
from benchmarks.claims_of_studies import _alike, _share, run_studies
from benchmarks.planted_markets import random_walk

from mlproject.analysis.claims.verdicts import Verdict


@pytest.mark.slow
def test_a_study_is_what_it_is_alone_whoever_is_validated_beside_it() -> None:
    def studies(spans: int):
        return run_studies(
            lambda seed: [random_walk("walk", seed, days=3100)],
            seed=3,
            spans=spans,
            trials=1,
            epochs=2,
        )

    (alone,) = studies(1)
    first, second, third = studies(3)
    assert first.claims == alone.claims
    assert first.lowest == alone.lowest
    assert alone.truth is None
    assert second.claims.prior != third.claims.prior
    assert second.claims.prior_loss != third.claims.prior_loss
    # Of two epochs each span chooses one, and the others say what that is worth.
    assert first.truth is not None
    assert abs(first.truth) < 0.05


def test_studies_that_say_the_same_are_worth_one() -> None:
    def kept(*prior: Verdict) -> list[dict[str, object]]:
        return [{"prior": each, "p_value": float(each == Verdict.BETTER)} for each in prior]

    alike = [kept(*[Verdict.BETTER] * 4), *[kept(*[Verdict.WORSE] * 4)] * 9]
    apart = [kept(Verdict.BETTER, *[Verdict.WORSE] * 3)] * 4 + [kept(*[Verdict.WORSE] * 4)] * 6
    assert _alike([[s["p_value"] for s in training] for training in alike]) == pytest.approx(1)
    # As one in ten (Clopper and Pearson, 1934), and as four in forty.
    assert _share(alike, "prior", Verdict.BETTER) == "10.0 (0.3 to 44.5)"
    assert _share(apart, "prior", Verdict.BETTER) == "10.0 (2.8 to 23.7)"

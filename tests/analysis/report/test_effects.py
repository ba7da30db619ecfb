"""The effect of heads and of the feed-forward width, all else equal."""

import numpy as np
import pandas as pd

from mlproject.analysis.report.effects import Effect, architecture_effects


def _trials(count: int, seed: int, *, heads_percent: float = 0.0) -> pd.DataFrame:
    """Two studies in which 16 heads go with high learning rates, which lower the loss by far."""
    generator = np.random.default_rng(seed)
    n_heads = generator.choice([4, 16], count)
    high_rate = generator.random(count) < np.where(n_heads == 16, 0.8, 0.2)
    learning_rate = np.where(high_rate, 1e-3, 2e-4) * generator.uniform(0.9, 1.1, count)
    d_model = generator.choice([64, 128, 192], count)
    percent = np.where(n_heads == 16, heads_percent, 0.0) - 5 * np.log2(learning_rate)
    percent += generator.normal(0, 1, count)
    return pd.DataFrame(
        {
            "study": generator.choice(["a", "b"], count),
            "budget": "2M",
            "n_heads": n_heads,
            "d_ff_ratio": generator.choice([2.0, 4.0], count),
            "d_model": d_model,
            "n_layers": 1024 // d_model,
            "learning_rate": learning_rate,
            "loss": np.exp(percent / 100),
        }
    )


def _of(effects: list[Effect], factor: str, value: float) -> Effect:
    (effect,) = [e for e in effects if e.factor == factor and e.value == value]
    return effect


def test_an_effect_is_found_and_the_learning_rate_not_taken_for_it() -> None:
    trials = _trials(120, 0, heads_percent=3.0)
    raw = trials.groupby("n_heads")["loss"].mean()
    assert raw[16] < raw[4]  # the naive comparison says the opposite
    effects = architecture_effects(trials)
    difference = _of(effects, "n_heads", 16).percent - _of(effects, "n_heads", 4).percent
    assert 2.4 < difference < 3.6
    assert _of(effects, "n_heads", 16).low > 0
    assert _of(effects, "n_heads", 4).high < 0
    assert _of(effects, "n_heads", 4).trials == int((trials["n_heads"] == 4).sum())


def test_where_there_is_no_effect_the_interval_mostly_holds_zero() -> None:
    held = [
        _of(architecture_effects(_trials(60, seed)), "n_heads", 16).low
        <= 0
        <= _of(architecture_effects(_trials(60, seed)), "n_heads", 16).high
        for seed in range(12)
    ]
    assert sum(held) >= 9


def test_of_all_intervals_of_a_report_none_leaves_out_zero_by_chance() -> None:
    """They hold at once: of 40 reports over three budgets a few hold a false one, not twelve."""
    false = 0
    for seed in range(40):
        budgets = [
            _trials(50, 3 * seed + n).assign(budget=name, study=name)
            for n, name in enumerate(("2M", "20M", "200M"))
        ]
        effects = architecture_effects(pd.concat(budgets, ignore_index=True))
        assert len(effects) == 12
        false += any(effect.low > 0 or effect.high < 0 for effect in effects)
    assert false <= 6


def test_too_few_trials_say_nothing() -> None:
    assert architecture_effects(_trials(8, 0)) == []
    alone = _trials(60, 0).assign(n_heads=8)
    assert all(effect.factor != "n_heads" for effect in architecture_effects(alone))

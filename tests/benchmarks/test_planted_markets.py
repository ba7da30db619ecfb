"""Markets with a planted rule are what they are said to be, and a small network learns the rule."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.planted_markets import (
    DAILY_MOVE,
    RULES,
    PlantedMarkets,
    Rule,
    garch,
    planted_markets,
    random_walk,
    write_markets,
)
from scipy.stats import norm

from mlproject.data.bar_rules import broken_rules
from mlproject.data.bars import Bars
from mlproject.data.checks import check_bars
from mlproject.data.labels import Task
from mlproject.data.load_markets import load_markets
from mlproject.data.windows import WindowedData, build_windows
from mlproject.training.scores import prior_loss
from mlproject.training.settings import TrainingSettings
from mlproject.training.train import train
from tests.training.small_training import ARCHITECTURE

ONE_PERCENT = Task(0.01)


def windows(planted: PlantedMarkets, horizon_days: int) -> WindowedData:
    return build_windows(planted.markets, horizon_days=horizon_days, task=ONE_PERCENT)


@pytest.fixture(scope="module", params=RULES.values(), ids=RULES)
def planted(request: pytest.FixtureRequest) -> PlantedMarkets:
    return planted_markets(request.param, 4, draw=0)


def test_the_bars_of_planted_markets_pass_the_checks(planted: PlantedMarkets) -> None:
    check_bars(planted.bars[0])
    assert not any(broken_rules(bars.frame) for bars in planted.bars)


@pytest.mark.parametrize("make", [random_walk, garch])
def test_the_bars_of_null_markets_pass_the_checks_and_follow_from_the_seed(make) -> None:
    made = [make("made", seed) for seed in range(20)]
    assert not any(broken_rules(bars.frame) for bars in made)
    assert make("made", 3).digest == made[3].digest
    assert len({bars.digest for bars in made}) == 20


def test_planted_markets_follow_from_the_draw(planted: PlantedMarkets) -> None:
    again, other = (planted_markets(planted.rule, 4, draw=draw) for draw in (0, 1))
    assert again.markets.digest == planted.markets.digest
    digests = {bars.digest for made in (planted, other) for bars in made.bars}
    assert len(digests) == 8


def test_files_of_markets_are_read_as_they_were_made(
    planted: PlantedMarkets, tmp_path: Path
) -> None:
    write_markets(planted.bars, tmp_path)
    assert load_markets(str(tmp_path)).digest == planted.markets.digest


@pytest.mark.parametrize("horizon_days", [1, 3])
def test_the_true_probabilities_beat_the_prior_on_every_span(
    planted: PlantedMarkets, horizon_days: int
) -> None:
    data = windows(planted, horizon_days)
    for ends in (data.validation, data.test):
        bayes = planted.bayes_loss(data, ends, horizon_days=horizon_days, task=ONE_PERCENT)
        assert 0.005 < prior_loss(data.labels[ends], data.base_rate) - bayes < 0.1


@pytest.mark.parametrize("horizon_days", [1, 3])
def test_the_true_probabilities_come_true(planted: PlantedMarkets, horizon_days: int) -> None:
    data = windows(planted, horizon_days)
    ends = data.train[::4]
    chances = planted.rise_probabilities(data, ends, horizon_days=horizon_days, task=ONE_PERCENT)
    labels = data.labels[ends].numpy()
    for part in np.array_split(np.argsort(chances), 4):
        # Six standard errors.
        assert labels[part].mean() == pytest.approx(chances[part].mean(), abs=3 / len(part) ** 0.5)


def test_the_probabilities_of_one_day_are_those_of_the_rule() -> None:
    always = Rule(name="always up", sign=lambda returns, _: np.ones(returns.shape[:-1]), drift=0.3)
    made = planted_markets(always, 2, draw=0, days=800)
    data = windows(made, 1)
    chances = made.rise_probabilities(data, data.test, horizon_days=1, task=ONE_PERCENT)
    np.testing.assert_allclose(chances, norm.sf(np.log(1.01) / DAILY_MOVE - 0.3))


def _moves(bars: Bars) -> np.ndarray:
    return np.diff(np.log(bars.frame["close"].to_numpy()))


def test_of_garch_the_past_tells_the_size_of_a_move_and_of_a_random_walk_nothing() -> None:
    def memory(values: np.ndarray) -> float:
        return float(pd.Series(values).autocorr())

    walks = [_moves(random_walk("walk", seed)) for seed in range(10)]
    changing = [_moves(garch("garch", seed)) for seed in range(10)]
    assert np.mean([memory(np.abs(moves)) for moves in changing]) > 0.08
    for nothing in (*walks, *map(np.abs, walks), *changing):
        assert abs(memory(nothing)) < 0.1


@pytest.mark.slow
def test_a_small_network_learns_of_eight_markets_what_one_does_not_teach_it() -> None:
    def share_taken(n_markets: int, epochs: int) -> float:
        made = planted_markets(RULES["momentum"], n_markets, draw=0)
        data = windows(made, 3)
        ends = data.validation
        prior = prior_loss(data.labels[ends], data.base_rate)
        bayes = made.bayes_loss(data, ends, horizon_days=3, task=ONE_PERCENT)
        settings = TrainingSettings(
            learning_rate=1e-3,
            epochs=epochs,
            batch_size=256,
            weight_decay=1e-4,
            warmup_steps=30,
            dropout=0.1,
            seed=0,
        )
        found = train(ARCHITECTURE, data, settings, lambda _: False)
        assert found.best_val_loss is not None
        return (prior - found.best_val_loss) / (prior - bayes)

    assert share_taken(8, epochs=1) > 0.4
    assert share_taken(1, epochs=4) < 0.3

"""The baselines of days see the past of each market, in the study and on the test span alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlproject.analysis.baselines.of_days import DAY_BASELINES, fit_day_baselines
from mlproject.analysis.claims.references import References
from mlproject.data.bars import Bars, load_bars
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData, build_windows


@pytest.fixture(scope="module")
def bars() -> Bars:
    bars = load_bars("sp500")
    return replace(bars, frame=bars.frame.head(1500))


def windows(markets: Markets, **options: bool) -> WindowedData:
    return build_windows(markets, horizon_days=3, task=parse_task("1pct"), **options)


def test_days_after_a_window_change_nothing_of_its_probability(bars: Bars) -> None:
    """Those of the test span neither, when all before it has been trained on."""
    final = windows(Markets.of(bars), final=True, with_test=False)
    first_test_row = len(final.dates)
    frame = bars.frame.copy()
    later = frame.index > first_test_row
    frame.loc[later, ["open", "high", "low", "close"]] *= np.linspace(1, 3, later.sum())[:, None]
    other = Markets.of(replace(bars, frame=frame))
    asked = windows(Markets.of(bars), final=True)
    ends = torch.tensor([first_test_row - 200, first_test_row - 1, first_test_row])
    found = [
        [b.predict(markets, asked, ends) for b in fit_day_baselines(markets, data)]
        for markets, data in (
            (Markets.of(bars), final),
            (other, windows(other, final=True, with_test=False)),
        )
    ]
    np.testing.assert_array_equal(*found)


def test_a_study_is_compared_with_the_very_baselines_of_an_evaluation(bars: Bars) -> None:
    markets = Markets.of(bars)
    data = windows(markets)
    references = References.of(markets, data)
    assert tuple(references.baselines) == DAY_BASELINES
    labels = data.labels[data.validation].numpy()
    for baseline in fit_day_baselines(markets, data):
        said = baseline.predict(markets, data, data.validation)
        loss = -np.log(np.where(labels > 0.5, said, 1 - said)).mean()
        assert references.loss(references.baselines[baseline.name]) == pytest.approx(loss)

"""The baselines of an evaluation: all that there are, fitted on everything but the test span."""

from collections.abc import Iterator

from mlproject.analysis.baselines.baseline import Baseline, prior
from mlproject.analysis.baselines.of_days import fit_day_baselines
from mlproject.analysis.baselines.of_windows import fit_window_baselines
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData


def fit_baselines(
    markets: Markets, search: WindowedData, final: WindowedData
) -> Iterator[Baseline]:
    """Fit every baseline on `final.train`; what is to be chosen is chosen on the spans of `search`.

    Neither holds a row of the test span, and of the markets no later day is looked at.
    """
    rate = final.base_rate
    yield prior(rate, f"always {rate:.3f}, the share of rises in training and validation")
    yield from fit_day_baselines(markets, final)
    yield from fit_window_baselines(search, final)

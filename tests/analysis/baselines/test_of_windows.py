"""The baselines see the network's windows, and learn what can be learnt from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlproject.analysis.baselines import of_windows
from mlproject.analysis.baselines.of_windows import (
    fit_window_baselines,
    flat_windows,
    window_baseline,
)
from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST, normalise_windows

MARKETS = Markets.of(load_bars("sp500"))


@pytest.fixture(scope="module")
def data() -> WindowedData:
    """Real bars; the label asks whether the close is above the day ten days earlier."""
    whole = build_windows(MARKETS, horizon_days=3, task=parse_task("1pct"))
    close = whole.features[:, whole.feature_names.index("close")]
    risen = torch.cat([torch.zeros(10), (close[10:] > close[:-10]).float()])
    return replace(whole, labels=risen, train=whole.train[-400:], validation=whole.validation[:150])


@pytest.mark.slow
def test_they_learn_what_can_be_learnt(data: WindowedData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_windows, "MAX_TREES", 40)
    both = torch.cat([data.train, data.validation])
    final = replace(data, train=both, base_rate=data.labels[both].mean().item())
    truth = data.labels[data.test].numpy() > 0.5
    right = {
        b.name: ((b.predict(MARKETS, data, data.test) > 0.5) == truth).mean()
        for b in fit_window_baselines(data, final)
    }
    most = max(truth.mean(), 1 - truth.mean())
    assert right["logistic_regression"] > most + 0.1
    assert right["gradient_boosting"] > most + 0.1


def test_they_see_what_the_network_sees(data: WindowedData) -> None:
    """Windows whose every feature is normalised over the days; normalising again changes little."""
    shape = Architecture(arch_idx=0, d_model=64, n_layers=2, n_heads=2, d_ff=128, param_count=0)
    network = PatchTST.build(shape, num_features=data.n_features)
    ends = data.test[:20]
    flat = flat_windows(data, ends)
    assert flat.shape == (20, 60 * 25)
    seen = torch.from_numpy(flat.astype(np.float32)).view(20, 60, 25)
    assert seen.mean(dim=1).abs().max() < 1e-4
    assert torch.allclose(seen.std(dim=1, correction=0), torch.ones(20, 25), atol=0.05)
    with torch.no_grad():
        assert torch.allclose(network(seen), network(data.gather(ends)[0]), atol=5e-3)


def test_thousands_of_windows_go_through_in_parts(data: WindowedData) -> None:
    ends = torch.arange(258, len(data.dates))
    flat = normalise_windows(data.gather(ends)[0]).flatten(1).numpy()
    np.testing.assert_array_equal(flat_windows(data, ends), flat)
    means = window_baseline("means", "", lambda windows: windows.mean(axis=1))
    firsts = window_baseline("firsts", "", lambda windows: windows[:, 0])
    found = means.predict(MARKETS, data, ends)
    np.testing.assert_allclose(found, flat.mean(axis=1, dtype=np.float64), atol=1e-9)
    np.testing.assert_array_equal(firsts.predict(MARKETS, data, ends), flat[:, 0])


def test_of_too_many_windows_some_are_taken_evenly_and_it_is_said(
    data: WindowedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_windows, "MAX_TREES", 2)
    monkeypatch.setattr(of_windows, "INVERSE_PENALTIES", (1e-6,))
    final = replace(data, train=torch.cat([data.train, data.validation]))
    whole = {each.name: each for each in fit_window_baselines(data, final)}
    assert "evenly" not in "".join(each.settings for each in whole.values())
    monkeypatch.setattr(of_windows, "MAX_FITTED_WINDOWS", 110)
    thinned = {each.name: each for each in fit_window_baselines(data, final)}
    for name in ("logistic_regression", "gradient_boosting"):
        assert "fitted on 110 of 550 windows, evenly over the days" in thinned[name].settings
    # Every fifth window, fitted as if there were no others.
    monkeypatch.setattr(of_windows, "MAX_FITTED_WINDOWS", 1000)
    fifth = replace(final, train=final.train[::5])
    alone = {each.name: each for each in fit_window_baselines(data, fifth)}
    right, found = (
        each["logistic_regression"].predict(MARKETS, data, data.test[:50])
        for each in (alone, thinned)
    )
    np.testing.assert_allclose(found, right)

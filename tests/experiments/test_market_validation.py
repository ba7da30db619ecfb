"""The table of the trials' losses in each market, from what Optuna's storage keeps."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial

from mlproject.data.load_markets import load_markets
from mlproject.data.windows import WindowedData, build_windows
from mlproject.experiments import market_validation as table_module
from mlproject.experiments.market_validation import market_validation
from tests.conftest import MakeSettings


@pytest.fixture(scope="module")
def data(make_settings: MakeSettings) -> WindowedData:
    """Two markets, and before them a third that only trains."""
    task = make_settings().task
    whole = build_windows(load_markets("us_indices"), horizon_days=3, task=task)
    starts = np.concatenate([[0, 500], whole.market_starts[1:]])
    return replace(whole, markets=("a", "b", "c"), market_starts=starts)


def _trials(kept: Sequence[object]) -> list[FrozenTrial]:
    study = optuna.create_study()
    for losses in kept:
        attrs = {} if losses is None else {"val_loss_by_market": losses}
        study.add_trial(optuna.create_trial(value=0.5, user_attrs=attrs))
    return study.trials


def test_it_has_a_row_for_each_trial_and_market_with_losses(data: WindowedData) -> None:
    trials = _trials([[None, 0.5, 0.6], None, [0.1, 0.2], "?", [None, 0.7, 0.4]])
    table = market_validation(trials, data)
    assert table["trial_number"].tolist() == [0, 0, 4, 4]
    assert table["market"].tolist() == ["b", "c"] * 2
    assert table["val_loss"].tolist() == [0.5, 0.6, 0.7, 0.4]
    assert table["windows"].sum() == 2 * len(data.validation)
    assert table["prior_loss"].between(0.5, 0.7).all()
    assert (table["skill"] > 0).tolist() == [True, True, False, True]


def test_before_any_trial_has_ended_it_is_empty(data: WindowedData) -> None:
    assert market_validation([], data).empty


def test_of_too_many_trials_it_has_the_best(
    data: WindowedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "MOST_ROWS", 5)
    trials = _trials([[None, loss, loss] for loss in (0.6, 0.4, 0.5, 0.3)])
    table = market_validation(trials, data)
    assert table["trial_number"].tolist() == [1, 1, 3, 3]

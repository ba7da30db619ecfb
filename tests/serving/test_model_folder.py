"""A model in a folder: it comes back as it was, and brings no code with it."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mlproject.data.bars import load_bars
from mlproject.data.features import FEATURES
from mlproject.data.labels import parse_task
from mlproject.data.load_markets import load_markets
from mlproject.data.windows import build_windows
from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture
from mlproject.models.patchtst import PatchTST
from mlproject.serving.forecast import forecast
from mlproject.serving.model_folder import (
    TrainedModel,
    UnreadableModel,
    load_model,
    save_model,
)
from mlproject.serving.new_bars import FEWEST_BARS
from mlproject.training.step import predict

ARCHITECTURE = Architecture(arch_idx=0, d_model=64, n_layers=2, n_heads=4, d_ff=128, param_count=0)


def _model(dtype: torch.dtype = torch.float32, data: str = "sp500") -> TrainedModel:
    torch.manual_seed(0)
    network = PatchTST.build(ARCHITECTURE, num_features=len(FEATURES), matrix_dtype=dtype)
    windows = build_windows(load_markets(data), horizon_days=3, task=parse_task("1pct"))
    return TrainedModel(
        network=network,
        architecture=ARCHITECTURE,
        feature_names=FEATURES,
        markets=windows.markets,
        scaling_mean=windows.scaling_mean,
        scaling_std=windows.scaling_std,
        task="threshold_1pct",
        horizon_days=3,
        label_price="close",
        trained_until="2016-02-23",
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("data", ["sp500", "us_indices"])
def test_it_comes_back_as_it_was(dtype: torch.dtype, data: str, tmp_path: Path) -> None:
    model = _model(dtype, data)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    for name, weight in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], weight)
        assert loaded.network.state_dict()[name].dtype is weight.dtype
    np.testing.assert_array_equal(loaded.scaling_mean, model.scaling_mean)
    np.testing.assert_array_equal(loaded.scaling_std, model.scaling_std)
    empty = np.empty(0)
    plain = {"network": model.network, "scaling_mean": empty, "scaling_std": empty}
    assert replace(loaded, **plain).__dict__ == replace(model, **plain).__dict__


def test_probabilities_are_those_of_the_windows_of_a_study() -> None:
    model = _model()
    bars = load_bars("sp500")
    data = build_windows(bars, horizon_days=3, task=parse_task("1pct"))
    ends = torch.cat([data.train, data.validation, data.test])
    right = torch.sigmoid(predict(model.network, data, ends).double()).numpy()
    answer = forecast(model, bars.frame).set_index("date")["probability"]
    dates = data.dates[ends.numpy()].astype(str)
    np.testing.assert_allclose(answer[dates], right, atol=1e-6)
    # Also of the days between the splits, and of the last days, whose outcome is not known.
    assert len(answer) == len(bars.frame) - FEWEST_BARS + 1
    assert answer.index[-1] == "2018-12-31"


def test_a_day_does_not_depend_on_later_ones() -> None:
    model = _model()
    frame = load_bars("sp500").frame
    early = forecast(model, frame.head(FEWEST_BARS + 10))
    late = forecast(model, frame.head(FEWEST_BARS + 200)).head(11)
    np.testing.assert_allclose(early["probability"], late["probability"], atol=1e-6)


class _Intruder:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code from a model ran",))


def test_weights_that_hold_code_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(_model(), tmp_path)
    torch.save({"head.weight": _Intruder()}, tmp_path / "weights.pt")
    with pytest.raises(pickle.UnpicklingError):
        load_model(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_card_that_is_not_of_these_weights_is_refused(tmp_path: Path) -> None:
    save_model(_model(), tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    card["architecture"]["n_layers"] = 3
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(UnreadableModel, match=r"not those of model\.json"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(card | {"format": 3}))
    with pytest.raises(UnreadableModel, match="not of format 1 or 2"):
        load_model(tmp_path)


def test_a_model_of_the_first_format_is_one_of_one_market(tmp_path: Path) -> None:
    model = _model()
    save_model(model, tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    (scaling,) = card.pop("markets").values()
    (tmp_path / "model.json").write_text(json.dumps(card | scaling | {"format": 1}))
    loaded = load_model(tmp_path)
    assert len(loaded.markets) == 1
    bars = load_bars("sp500").frame.tail(FEWEST_BARS + 5)
    pd.testing.assert_frame_equal(forecast(loaded, bars), forecast(model, bars))


def _both_markets(rows: int) -> pd.DataFrame:
    return pd.concat(
        [load_bars(name).frame.tail(rows).assign(symbol=name) for name in ("sp500", "nasdaq")],
        ignore_index=True,
    )


def test_each_market_is_scaled_as_in_training() -> None:
    model = _model(data="us_indices")
    markets = load_markets("us_indices")
    data = build_windows(markets, horizon_days=3, task=parse_task("1pct"))
    right = torch.sigmoid(predict(model.network, data, data.test).double()).numpy()
    bars = pd.concat([bars.frame.assign(Ticker=bars.name) for bars in markets.each])
    answer = forecast(model, bars)
    assert list(answer.columns) == ["symbol", "date", "probability"]
    assert len(answer) == markets.rows - 2 * (FEWEST_BARS - 1)
    names = np.array(data.markets)[data.market_of(data.test)]
    days = zip(names, data.dates[data.test.numpy()].astype(str), strict=True)
    answer = answer.set_index(["symbol", "date"])["probability"]
    np.testing.assert_allclose(answer[list(days)], right, atol=1e-6)


def test_a_model_of_several_markets_says_which_ones_it_knows() -> None:
    model = _model(data="us_indices")
    bars = _both_markets(FEWEST_BARS)
    assert forecast(model, bars)["symbol"].tolist() == ["sp500", "nasdaq"]
    known = "trained on 2 markets, such as nasdaq, sp500"
    with pytest.raises(UserError, match=f"^the bars: the model does not know DAX: it was {known}$"):
        forecast(model, bars.replace({"symbol": {"sp500": "DAX"}}).tail(300))
    with pytest.raises(UserError, match=f"which market they are of: it was {known}; name it in"):
        forecast(model, bars.drop(columns="symbol").head(FEWEST_BARS))


def test_a_model_of_one_market_takes_any_name_and_one_at_a_time() -> None:
    model = _model()
    bars = _both_markets(FEWEST_BARS + 1)
    own = bars.head(FEWEST_BARS + 1)
    unnamed = forecast(model, own.drop(columns="symbol"))
    assert list(unnamed.columns) == ["date", "probability"]
    renamed = forecast(model, own.assign(symbol="^GSPC"))
    assert list(renamed.columns) == ["symbol", "date", "probability"]
    pd.testing.assert_frame_equal(renamed.drop(columns="symbol"), unnamed)
    with pytest.raises(UserError, match=r"of 2 markets \(sp500, nasdaq\), and the model"):
        forecast(model, bars)


def test_a_model_without_volume_asks_for_none() -> None:
    markets = load_markets("sp500")
    (bars,) = markets.each
    quiet = replace(bars, frame=bars.frame.assign(volume=0.0), has_volume=False)
    windows = build_windows(quiet, horizon_days=3, task=parse_task("1pct"))
    model = replace(
        _model(),
        network=PatchTST.build(ARCHITECTURE, num_features=windows.n_features),
        feature_names=windows.feature_names,
        scaling_mean=windows.scaling_mean,
        scaling_std=windows.scaling_std,
    )
    asked = bars.frame.tail(FEWEST_BARS)
    answer = forecast(model, asked.drop(columns="volume"))
    pd.testing.assert_frame_equal(forecast(model, asked), answer)
    assert len(answer) == 1
    with pytest.raises(UserError, match="missing column volume"):
        forecast(_model(), asked.drop(columns="volume"))

"""A model in a folder: it comes back as it was, and brings no code with it."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mlproject.data.bars import load_bars
from mlproject.data.features import FEATURES
from mlproject.data.labels import parse_task
from mlproject.data.windows import build_windows
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


def _model(dtype: torch.dtype = torch.float32) -> TrainedModel:
    torch.manual_seed(0)
    network = PatchTST.build(ARCHITECTURE, num_features=len(FEATURES), matrix_dtype=dtype)
    data = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("1pct"))
    return TrainedModel(
        network=network,
        architecture=ARCHITECTURE,
        feature_names=FEATURES,
        scaling_mean=data.scaling_mean[0],
        scaling_std=data.scaling_std[0],
        task="threshold_1pct",
        horizon_days=3,
        label_price="close",
        trained_until="2016-02-23",
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_comes_back_as_it_was(dtype: torch.dtype, tmp_path: Path) -> None:
    model = _model(dtype)
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
    (tmp_path / "model.json").write_text(json.dumps(card | {"format": 2}))
    with pytest.raises(UnreadableModel, match="not of format 1"):
        load_model(tmp_path)

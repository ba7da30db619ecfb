"""The form in which a trained model is given to MLflow, so that it can be served anywhere."""

from pathlib import Path

import numpy as np
import pandas as pd

import mlproject
from mlproject.data.bar_limits import PRICES
from mlproject.data.features import NEED_VOLUME
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData
from mlproject.serving import pyfunc
from mlproject.serving.forecast import DATE, PROBABILITY, SYMBOL
from mlproject.serving.new_bars import FEWEST_BARS
from mlproject.tracking.registered_model import ServableModel

# MLflow would refuse ISO text as a datetime, a datetime as text, whole numbers of shares as floats,
# and symbols of digits as text; all of them are read (see `mlproject.serving.new_bars`).
_INPUTS = {"date": None, **dict.fromkeys(PRICES, "double")}
_VOLUME = {"volume": None}
_OPTIONAL_INPUTS = {SYMBOL: None}
_OUTPUTS = {DATE: "string", PROBABILITY: "double"}
_PACKAGES = ("mlflow", "torch", "numpy", "pandas", "TA-Lib")
_EXAMPLE_BARS = FEWEST_BARS + 1
_EXAMPLE_MARKETS = 2


def servable_model(folder: Path, markets: Markets, data: WindowedData) -> ServableModel:
    """A saved model (see `mlproject.serving.model_folder`) that was trained on `data`.

    Its example are the last bars that `data` has of its first markets.
    """
    several = len(data.markets) > 1
    example = _example(markets, data)
    inputs = _INPUTS | (_VOLUME if set(NEED_VOLUME) & set(data.feature_names) else {})
    return ServableModel(
        folder=folder,
        loader_module=pyfunc.__name__,
        code=Path(mlproject.__file__).parent,
        packages=_PACKAGES,
        inputs=inputs,
        optional_inputs=_OPTIONAL_INPUTS,
        outputs={SYMBOL: "string", **_OUTPUTS} if several else _OUTPUTS,
        input_example=example[[*inputs, SYMBOL] if several else [*inputs]],
    )


def _example(markets: Markets, data: WindowedData) -> pd.DataFrame:
    frames = {bars.name: bars.frame for bars in markets.each}
    rows = dict(zip(data.markets, np.diff(data.market_starts), strict=True))
    example = pd.concat(
        [
            frames[market].head(rows[market]).tail(_EXAMPLE_BARS).assign(**{SYMBOL: market})
            for market in data.markets[:_EXAMPLE_MARKETS]
        ],
        ignore_index=True,
    )
    return example.assign(date=example["date"].dt.strftime("%Y-%m-%d"))

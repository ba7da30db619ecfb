"""The form in which a trained model is given to MLflow, so that it can be served anywhere."""

from pathlib import Path

import pandas as pd

import mlproject
from mlproject.data.bar_limits import PRICES
from mlproject.serving import pyfunc
from mlproject.serving.forecast import DATE, PROBABILITY
from mlproject.serving.new_bars import FEWEST_BARS
from mlproject.tracking.registered_model import ServableModel

# MLflow would refuse ISO text as a datetime, a datetime as text, and whole numbers of shares
# as floats; all of them are read (see `mlproject.serving.new_bars`).
_INPUTS = {"date": None, **dict.fromkeys(PRICES, "double"), "volume": None}
_OUTPUTS = {DATE: "string", PROBABILITY: "double"}
_PACKAGES = ("mlflow", "torch", "numpy", "pandas", "TA-Lib")
_EXAMPLE_BARS = FEWEST_BARS + 1


def servable_model(folder: Path, bars: pd.DataFrame) -> ServableModel:
    """A saved model (see `mlproject.serving.model_folder`), with the last bars as its example."""
    example = bars.tail(_EXAMPLE_BARS).reset_index(drop=True)
    return ServableModel(
        folder=folder,
        loader_module=pyfunc.__name__,
        code=Path(mlproject.__file__).parent,
        packages=_PACKAGES,
        inputs=_INPUTS,
        outputs=_OUTPUTS,
        input_example=example.assign(date=example["date"].dt.strftime("%Y-%m-%d")),
    )

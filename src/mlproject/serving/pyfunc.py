"""What MLflow calls to load a model of this project: `mlflow.pyfunc`'s loader module.

MLflow imports this module by name and hands it the model's folder, so no pickled code is needed.
"""

from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException

from mlproject.errors import UserError
from mlproject.serving.forecast import forecast
from mlproject.serving.model_folder import TrainedModel, load_model


class Forecaster:
    """A model behind the one method that MLflow asks for."""

    def __init__(self, model: TrainedModel) -> None:
        self.model = model

    def predict(self, bars: pd.DataFrame) -> pd.DataFrame:
        """Probabilities of the days of a frame of bars; see `forecast`.

        Raises:
            MlflowException: the bars cannot be used. Its one line is what a server answers.
        """
        try:
            return forecast(self.model, bars)
        except UserError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(data_path: str) -> Forecaster:
    return Forecaster(load_model(Path(data_path)))

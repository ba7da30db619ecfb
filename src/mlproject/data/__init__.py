"""A market's daily bars: loaded, checked, made into features and labels, cut into windows."""

from mlproject.data.bars import REQUIRED_COLUMNS, Bars, load_bars
from mlproject.data.checks import BadBars, check_bars
from mlproject.data.features import FEATURES, WARM_UP_ROWS, compute_features
from mlproject.data.labels import (
    BadHorizon,
    LabelPrice,
    MalformedTask,
    Task,
    label_rows,
    parse_horizon,
    parse_task,
)
from mlproject.data.windows import (
    WINDOW_DAYS,
    OneClassOnly,
    TooFewRows,
    WindowedData,
    build_windows,
)

__all__ = [
    "FEATURES",
    "REQUIRED_COLUMNS",
    "WARM_UP_ROWS",
    "WINDOW_DAYS",
    "BadBars",
    "BadHorizon",
    "Bars",
    "LabelPrice",
    "MalformedTask",
    "OneClassOnly",
    "Task",
    "TooFewRows",
    "WindowedData",
    "build_windows",
    "check_bars",
    "compute_features",
    "label_rows",
    "load_bars",
    "parse_horizon",
    "parse_task",
]

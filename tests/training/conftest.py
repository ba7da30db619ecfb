"""Small data to train on."""

from dataclasses import replace

import pytest

from mlproject.data.bars import load_bars
from mlproject.data.labels import parse_task
from mlproject.data.windows import WindowedData, build_windows


@pytest.fixture(scope="module")
def data() -> WindowedData:
    """Real bars, the training span shortened to 512 windows and the validation to 128."""
    whole = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    return replace(whole, train=whole.train[-512:], validation=whole.validation[:128])

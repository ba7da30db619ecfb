"""Builders of valid bars; each test then breaks or varies what it is about."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mlproject.data.bars import Bars, digest_of, load_bars

MakeFrame = Callable[..., pd.DataFrame]
MakeBars = Callable[..., Bars]


@pytest.fixture(scope="session")
def sp500() -> Bars:
    return load_bars("sp500")


@pytest.fixture(scope="session")
def make_frame() -> MakeFrame:
    """Valid bars: a random walk of closes on consecutive weekdays ('B') or days ('D')."""

    def make(rows: int = 700, *, seed: int = 0, freq: str = "B") -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.015, rows)))
        open_ = close * np.exp(rng.normal(0, 0.005, rows))
        dates = pd.date_range("2010-01-06", periods=rows, freq=freq)
        return pd.DataFrame(
            {
                "date": dates.astype("datetime64[us]"),
                "open": open_,
                "high": np.maximum(open_, close) * (1 + rng.random(rows) * 0.01),
                "low": np.minimum(open_, close) * (1 - rng.random(rows) * 0.01),
                "close": close,
                "volume": np.floor(rng.random(rows) * 1e6),
            }
        )

    return make


@pytest.fixture(scope="session")
def as_bars() -> MakeBars:
    """Bars of a frame, named after a file that does not exist."""

    def make(frame: pd.DataFrame) -> Bars:
        frame = frame.reset_index(drop=True)
        return Bars(name="made", source="made.csv", frame=frame, digest=digest_of(frame))

    return make

"""Blocks of days are apart, whole and about equally long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.data.date_blocks import MAX_BLOCKS, date_blocks
from mlproject.models.arch_grid import WINDOW_DAYS


@given(n_days=st.integers(1, 2000), markets=st.integers(1, 4), horizon_days=st.integers(1, 60))
def test_every_block_is_a_run_of_days_longer_than_what_windows_share(
    n_days: int, markets: int, horizon_days: int
) -> None:
    days = np.datetime64("2000-01-03") + np.arange(n_days)
    of_windows = np.tile(days, markets)  # every market has a window on every day
    blocks = date_blocks(of_windows, horizon_days=horizon_days)
    assert (np.sort(np.unique(blocks)) == np.arange(blocks.max() + 1)).all()
    assert blocks.max() < MAX_BLOCKS
    of_days = blocks[:n_days]
    assert (np.diff(of_days) >= 0).all()
    assert (blocks.reshape(markets, n_days) == of_days).all()
    lengths = np.bincount(of_days)
    assert lengths.max() - lengths.min() <= 1
    if len(lengths) > 1:
        assert lengths.min() >= WINDOW_DAYS + horizon_days


@pytest.mark.parametrize(("n_days", "blocks"), [(713, 10), (400, 6), (62, 1)])
def test_the_span_of_the_sample_has_ten(n_days: int, blocks: int) -> None:
    days = np.datetime64("2000-01-03") + np.arange(n_days)
    assert date_blocks(days, horizon_days=3).max() + 1 == blocks

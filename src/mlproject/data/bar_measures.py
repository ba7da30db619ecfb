"""What is measured of each bar beside the row before, for the checks of bars."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.data.bar_limits import PRICES, SPLIT_CLOSE_TOLERANCE, SPLIT_OPEN_TOLERANCE, SPLITS

GAP_DAYS = "gap_days"
"""Calendar days since the row before."""
MOVE = "move"
"""The factor between this close and the one before, always 1 or more; 1 where `SPLIT` tells it."""
SPLIT = "split"
"""Whether the bar stands to the one before as after a split that was not adjusted for."""
REPEATS = "repeats"
"""How many rows on end, this one included, are the same in all prices and the volume."""
COPY = "copy"
"""Whether it is the last row and a copy of a traded row before it."""
UNFINISHED = "unfinished"
"""Whether it is the last row and was stamped in mid-session."""
CLOSE_OUTSIDE = "close_outside"
"""Whether the close lies below low or above high."""

_VALUES = [*PRICES, "volume"]
_STEPS = {0: "intraday bars", 7: "weekly bars", **dict.fromkeys(range(28, 32), "monthly bars")}


def measure(bars: pd.DataFrame, unfinished_time: str = "") -> pd.DataFrame:
    """The measures above of a frame of bars, with its index; flags are 0 or 1.

    In the first row those that need a row before are missing or say that nothing is wrong.
    """
    before = bars.shift()
    ratio = bars["close"] / before["close"]
    split = pd.Series([bool(name) for name in split_ratios(bars)], index=bars.index)
    move = ratio.where(ratio >= 1, 1 / ratio).where(~split, 1.0)
    same = (bars[_VALUES] == before[_VALUES]).all(axis=1)
    traded = (bars["volume"] > 0) | (bars["high"] > bars["low"])
    last = pd.Series(np.arange(len(bars)) == len(bars) - 1, index=bars.index)
    flags = {
        SPLIT: split,
        COPY: last & same & traded,
        UNFINISHED: last & bool(unfinished_time),
        CLOSE_OUTSIDE: (bars["close"] < bars["low"]) | (bars["close"] > bars["high"]),
    }
    return pd.DataFrame(
        {
            GAP_DAYS: bars["date"].diff().dt.days,
            MOVE: move,
            REPEATS: same.groupby((~same).cumsum()).cumsum() + 1,
            **{name: flag.astype(np.float64) for name, flag in flags.items()},
        }
    )


def split_ratios(bars: pd.DataFrame) -> list[str]:
    """For each row the ratio of the split that it looks like, such as ``10:1``; else empty.

    Between two sessions of a split that was not adjusted for, the open jumps by the ratio and the
    close with it.
    """
    names = list(SPLITS)
    before = bars["close"].shift().to_numpy()
    with np.errstate(all="ignore"):
        opens: npt.NDArray[np.float64] = np.log(before / bars["open"].to_numpy())
        closes: npt.NDArray[np.float64] = np.log(before / bars["close"].to_numpy())
    jumps = np.log(list(SPLITS.values()))
    nearest = np.abs(opens[:, None] - jumps).argmin(axis=1)
    like = (np.abs(opens - jumps[nearest]) < np.log1p(SPLIT_OPEN_TOLERANCE)) & (
        np.abs(closes - jumps[nearest]) < np.log1p(SPLIT_CLOSE_TOLERANCE)
    )
    return [names[at] if is_like else "" for at, is_like in zip(nearest, like, strict=True)]


def step_name(days: float) -> str:
    """What bars are that stand so many days apart: such as 'weekly bars'."""
    return _STEPS.get(int(days), "not daily bars") if days == int(days) else "not daily bars"

"""The labels that are predicted: whether the price rises by a threshold within the horizon."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.errors import UserError

MAX_HORIZON_DAYS = 250
"""About one year of trading: beyond it a daily window says nothing."""

LabelPrice = Literal["close", "high"]
"""The price of a later day that has to reach the threshold."""

_TASK = re.compile(r"(?:threshold_)?([0-9]{1,3}(?:\.[0-9]{1,6})?)pct", re.IGNORECASE)


class MalformedTask(UserError):
    """A task that is no percentage between 0 and 100."""


class BadHorizon(UserError):
    """A horizon that is no whole number of days in range."""


@dataclass(frozen=True)
class Task:
    """A task: to predict whether the price rises by `threshold`. `parse_task` makes valid ones."""

    threshold: float
    """A fraction of the close, in (0, 1]: 0.01 is 1 %."""

    @property
    def name(self) -> str:
        """The one canonical name: 'threshold_1pct', 'threshold_0.5pct'."""
        # Through the decimal that Python prints: 0.07 * 100 is 7.000000000000001 as a float.
        percent = (Decimal(str(self.threshold)) * 100).normalize()
        return f"threshold_{percent:f}pct"


def parse_task(text: str) -> Task:
    """The task of 'threshold_1pct', '0.5pct' or the like.

    Raises:
        MalformedTask: the text is no percentage above 0 and up to 100.
    """
    match = _TASK.fullmatch(text)
    percent = Decimal(match[1]) if match else Decimal(0)
    if not 0 < percent <= 100:
        raise MalformedTask(
            f"task {_shortened(text)}: not a task; write threshold_<percent>pct or <percent>pct "
            "with a percentage above 0 and up to 100 and at most 6 decimals, for example "
            "threshold_1pct or 0.5pct"
        )
    return Task(float(percent / 100))


def parse_horizon(days: str | int) -> int:
    """The horizon in trading days, 1 to `MAX_HORIZON_DAYS`.

    Raises:
        BadHorizon: it is no whole number in this range.
    """
    if re.fullmatch(r"[0-9]{1,4}", str(days)) and 1 <= int(days) <= MAX_HORIZON_DAYS:
        return int(days)
    raise BadHorizon(
        f"horizon {_shortened(str(days))}: must be a whole number of trading days from 1 to "
        f"{MAX_HORIZON_DAYS}, for example 3"
    )


def label_rows(
    frame: pd.DataFrame, *, horizon_days: int, task: Task, label_price: LabelPrice
) -> npt.NDArray[np.float32]:
    """The labels (rows,): 1 where the price rises by the threshold in time, else 0.

    It does if any `label_price` of the next `horizon_days` rows is at or above the row's close
    times (1 + threshold). The last `horizon_days` rows hold NaN: their outcome is not yet known.
    """
    labels = np.full(len(frame), np.nan, dtype=np.float32)
    known = len(frame) - horizon_days
    if known > 0:
        price = frame[label_price].to_numpy(np.float64)
        future = np.lib.stride_tricks.sliding_window_view(price[1:], horizon_days)
        target = frame["close"].to_numpy(np.float64)[:known] * (1.0 + task.threshold)
        labels[:known] = future.max(axis=1) >= target
    return labels


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")

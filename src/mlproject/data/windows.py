"""The windows that a network trains on: scaled features, labels and splits as tensors."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from mlproject.data.bars import Bars
from mlproject.data.features import FEATURES, WARM_UP_ROWS, compute_features
from mlproject.data.labels import LabelPrice, Task, label_rows
from mlproject.data.splits import Splits, rows_needed, split_ends
from mlproject.errors import UserError
from mlproject.models.arch_grid import WINDOW_DAYS

# A standard deviation this small beside the values is their rounding.
_ROUNDING = 1e-9


class TooFewRows(UserError):
    """A split would hold no window."""


class OneClassOnly(UserError):
    """All training labels are the same."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowedData:
    """The rows of a market, each held once; a window is a slice of them, gathered by its end row.

    The tensors lie on one device, and what works with them works there.
    """

    features: torch.Tensor
    """(rows, features) float32, scaled; NaN in the warm-up, which no window reaches."""

    labels: torch.Tensor
    """(rows,) float32, 0 or 1; NaN where the outcome is not known, which is no window's end."""

    train: torch.Tensor
    """(windows,) int64: end rows. The window of end row t is rows t-59..t, its label labels[t]."""

    validation: torch.Tensor
    """As `train`, later in time."""

    test: torch.Tensor
    """As `train`, last in time; for the final evaluation only."""

    feature_names: tuple[str, ...]

    base_rate: float
    """Share of training windows whose label is 1, in (0, 1)."""

    scaling_mean: npt.NDArray[np.float64]
    """(features,): taken off each feature; of the rows up to the last training end row."""

    scaling_std: npt.NDArray[np.float64]
    """(features,): then divided by; of the same rows, 1 where a feature is constant there."""

    dates: npt.NDArray[np.datetime64]
    """(rows,) datetime64[D]: the day of each row."""

    @property
    def n_features(self) -> int:
        """Number of features of a day."""
        return len(self.feature_names)

    def to(self, device: torch.device | str) -> "WindowedData":
        """The same data with all tensors on `device`."""
        return replace(
            self,
            features=self.features.to(device),
            labels=self.labels.to(device),
            train=self.train.to(device),
            validation=self.validation.to(device),
            test=self.test.to(device),
        )

    def gather(self, ends: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The windows (batch, 60, features) and labels (batch,) of end rows (batch,).

        Oldest day first. `ends` come from `train`, `validation` or `test`.
        """
        return gather_windows(self.features, ends), self.labels[ends]


def gather_windows(features: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The windows (batch, 60, features) of `features` (rows, features) at `ends` (batch,).

    Each ends with the row that `ends` names, oldest day first.
    """
    days = torch.arange(1 - WINDOW_DAYS, 1, device=ends.device)
    return features[ends.unsqueeze(1) + days]


def build_windows(
    bars: Bars,
    *,
    horizon_days: int,
    task: Task,
    label_price: LabelPrice = "close",
    final: bool = False,
    with_test: bool = True,
) -> WindowedData:
    """The data of a study, on the CPU: features scaled on the training span, labels and splits.

    A `final` training takes training and validation as one training span; `validation` is then
    empty. Without the test span, `test` is empty and its rows are not in the data at all, so that
    they cannot be touched by mistake; the rest is the same, since features use only the past.

    The bars must have passed `check_bars`.

    Raises:
        TooFewRows: a split would be empty.
        OneClassOnly: all training labels are the same.
    """
    splits = _usable_splits(bars, horizon_days)
    if final:
        splits = splits.final
    frame = bars.frame
    if not with_test:
        splits = splits.without_test
        frame = frame.head(splits.test.start)
    labels = label_rows(frame, horizon_days=horizon_days, task=task, label_price=label_price)
    base_rate = float(labels[splits.train].mean(dtype=np.float64))
    if base_rate in (0.0, 1.0):
        raise _one_class(bars, base_rate, horizon_days, task)
    features = compute_features(frame).to_numpy(np.float64)
    mean, std = _scaling(features[WARM_UP_ROWS : splits.train.stop])
    scaled = scale(features, mean, std)
    _assert_complete(scaled, labels, splits)
    return WindowedData(
        features=torch.from_numpy(scaled),
        labels=torch.from_numpy(labels),
        train=_ends(splits.train),
        validation=_ends(splits.validation),
        test=_ends(splits.test),
        feature_names=FEATURES,
        base_rate=base_rate,
        scaling_mean=mean,
        scaling_std=std,
        dates=frame["date"].to_numpy("datetime64[D]"),
    )


def _usable_splits(bars: Bars, horizon_days: int) -> Splits:
    splits = split_ends(len(bars.frame), horizon_days=horizon_days)
    if not splits.usable:
        raise TooFewRows(
            f"{bars.source}: {len(bars.frame)} rows are too few for a horizon of {horizon_days} "
            f"days; give at least {rows_needed(horizon_days=horizon_days)} rows or shorten it"
        )
    return splits


def scale(
    features: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    std: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """The features (rows, features) as the network gets them: standardised, in float32."""
    return ((features - mean) / std).astype(np.float32)


def _ends(rows: range) -> torch.Tensor:
    return torch.arange(rows.start, rows.stop)


def _scaling(
    training: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each column of (rows, features), 1 for a constant one."""
    std = training.std(axis=0)
    constant = std <= _ROUNDING * np.abs(training).max(axis=0)
    return training.mean(axis=0), np.where(constant, 1.0, std)


def _assert_complete(
    scaled: npt.NDArray[np.float32], labels: npt.NDArray[np.float32], splits: Splits
) -> None:
    reached = scaled[splits.train.start - WINDOW_DAYS + 1 : splits.test.stop]
    assert np.isfinite(reached).all(), "a window reaches a feature that is NaN or infinite"
    for ends in (splits.train, splits.validation, splits.test):
        known = labels[ends.start : ends.stop]
        assert np.isfinite(known).all(), "a window's outcome is not known"


def _one_class(bars: Bars, base_rate: float, horizon_days: int, task: Task) -> OneClassOnly:
    rise = f"rises by {task.threshold * 100:g} % within {horizon_days} days"
    said = f"no training day {rise}" if base_rate == 0 else f"every training day {rise}"
    advice = (
        "lower the threshold or lengthen the horizon"
        if base_rate == 0
        else "raise the threshold or shorten the horizon"
    )
    return OneClassOnly(f"{bars.source}: {said}, so there is nothing to tell apart; {advice}")

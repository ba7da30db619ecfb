"""The windows that a network trains on: scaled features, labels and splits as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from mlproject.data.bars import Bars
from mlproject.data.date_blocks import date_blocks
from mlproject.data.features import WARM_UP_ROWS, compute_features
from mlproject.data.labels import LabelPrice, Task, label_rows
from mlproject.data.markets import Markets
from mlproject.data.splits import Splits, rows_needed, split_markets, usable
from mlproject.errors import UserError
from mlproject.models.arch_grid import WINDOW_DAYS

MAX_VALIDATION_WINDOWS = 1 << 15
"""More are thinned evenly over the days and markets: beyond it a validation tells no more of a
network and takes longer than its training. One market of a century has fewer."""

# A standard deviation this small beside the values is their rounding.
_ROUNDING = 1e-9


class TooFewRows(UserError):
    """A split would hold no window."""


class OneClassOnly(UserError):
    """All training labels are the same."""


@dataclass(frozen=True, kw_only=True)
class Thinning:
    """How many validation windows are kept, and which."""

    most: int = MAX_VALIDATION_WINDOWS
    earliest: bool = False
    """Whether the first ones of each market are kept, as studies did that began before they were
    spread over the whole span: the first days of it are a regime of their own."""

    def of(
        self, ends: npt.NDArray[np.int64], dates: npt.NDArray[np.datetime64]
    ) -> npt.NDArray[np.int64]:
        """The end rows that are kept, in their order: evenly over their days, or the earliest."""
        if self.earliest:
            return ends[: self.most]
        return thinned(ends, dates, self.most)


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowedData:
    """The rows of all markets, each held once; a window is a slice of them, gathered by its end
    row.

    The rows of a market follow one another, and no window reaches into another market's. The
    tensors lie on one device, and what works with them works there.
    """

    features: torch.Tensor
    """(rows, features) float32, scaled; NaN in each warm-up, which no window reaches."""

    labels: torch.Tensor
    """(rows,) float32, 0 or 1; NaN where the outcome is not known, which is no window's end."""

    train: torch.Tensor
    """(windows,) int64: end rows. The window of end row t is rows t-59..t, its label labels[t]."""

    validation: torch.Tensor
    """As `train`, later in time; at most `MAX_VALIDATION_WINDOWS`."""

    test: torch.Tensor
    """As `train`, last in time; for the final evaluation only."""

    feature_names: tuple[str, ...]

    horizon_days: int
    """How many days a label looks ahead."""

    base_rate: float
    """Share of training windows whose label is 1, in (0, 1)."""

    markets: tuple[str, ...]
    """Names of the markets that have rows here."""

    market_starts: npt.NDArray[np.int64]
    """(markets + 1,): the first row of each market, and the number of rows."""

    scaling_mean: npt.NDArray[np.float64]
    """(markets, features): taken off each feature; of the market's rows up to its last training end
    row."""

    scaling_std: npt.NDArray[np.float64]
    """(markets, features): then divided by; of the same rows, 1 where a feature is constant
    there."""

    dates: npt.NDArray[np.datetime64]
    """(rows,) datetime64[D]: the day of each row."""

    @property
    def n_features(self) -> int:
        """Number of features of a day."""
        return len(self.feature_names)

    @cached_property
    def validation_blocks(self) -> npt.NDArray[np.int64]:
        """(windows,): of each validation window, its block of days (see `date_blocks`)."""
        days = self.dates[self.validation.cpu().numpy()]
        return date_blocks(days, horizon_days=self.horizon_days)

    def market_of(self, ends: torch.Tensor) -> npt.NDArray[np.int64]:
        """The market of each end row (windows,), as its position in `markets`."""
        rows = ends.cpu().numpy()
        return np.searchsorted(self.market_starts, rows, side="right").astype(np.int64) - 1

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
    data: Markets | Bars,
    *,
    horizon_days: int,
    task: Task,
    label_price: LabelPrice = "close",
    final: bool = False,
    with_test: bool = True,
    validation_thinning: Thinning | None = None,
) -> WindowedData:
    """The data of a study, on the CPU: features scaled on the training span, labels and splits.

    Each market has features, labels and scaling of its own; the splits begin on the same days in
    all. A market that has no training window cannot be scaled, and is not in the data.

    A `final` training takes training and validation as one training span; `validation` is then
    empty. Without the test span, `test` is empty and its rows are not in the data at all, so that
    they cannot be touched by mistake; the rest is the same, since features use only the past.
    By default validation is thinned as a `Thinning()` does.

    The bars must have passed the checks (see `mlproject.data.checks`).

    Raises:
        TooFewRows: a split would be empty.
        OneClassOnly: all training labels are the same.
    """
    markets = Markets.of(data)
    used = [
        (bars, _chosen(splits, final=final, with_test=with_test))
        for bars, splits in _usable_splits(markets, horizon_days)
    ]
    lengths = [len(bars.frame) if with_test else splits.test.start for bars, splits in used]
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    names = list(markets.feature_names)
    rows, n_features = int(starts[-1]), len(names)
    features = np.empty((rows, n_features), np.float32)
    labels = np.empty(rows, np.float32)
    dates = np.empty(rows, "datetime64[D]")
    scaling = np.empty((2, len(used), n_features))
    for at, (bars, splits) in enumerate(used):
        frame = bars.frame.head(lengths[at])
        here = slice(starts[at], starts[at + 1])
        labels[here] = label_rows(
            frame, horizon_days=horizon_days, task=task, label_price=label_price
        )
        unscaled = compute_features(frame)[names].to_numpy(np.float64)
        scaling[:, at] = _scaling(unscaled[WARM_UP_ROWS : splits.train.stop])
        features[here] = scale(unscaled, *scaling[:, at])
        dates[here] = frame["date"].to_numpy("datetime64[D]")
        _assert_complete(features[here], labels[here], splits)
    every = [splits for _, splits in used]
    train = _ends([splits.train for splits in every], starts)
    base_rate = float(labels[train].mean(dtype=np.float64))
    if base_rate in (0.0, 1.0):
        raise _one_class(markets, base_rate, horizon_days, task)
    validation = _ends([splits.validation for splits in every], starts)
    validation = (validation_thinning or Thinning()).of(validation, dates)
    return WindowedData(
        features=torch.from_numpy(features),
        labels=torch.from_numpy(labels),
        train=torch.from_numpy(train),
        validation=torch.from_numpy(validation),
        test=torch.from_numpy(_ends([splits.test for splits in every], starts)),
        feature_names=tuple(names),
        horizon_days=horizon_days,
        base_rate=base_rate,
        markets=tuple(bars.name for bars, _ in used),
        market_starts=starts,
        scaling_mean=scaling[0],
        scaling_std=scaling[1],
        dates=dates,
    )


def _usable_splits(markets: Markets, horizon_days: int) -> list[tuple[Bars, Splits]]:
    """The markets that have training windows, each with its splits."""
    splits = split_markets(
        [bars.frame["date"].to_numpy() for bars in markets.each], horizon_days=horizon_days
    )
    used = [(bars, of_bars) for bars, of_bars in zip(markets.each, splits, strict=True)]
    used = [(bars, of_bars) for bars, of_bars in used if of_bars.train]
    if usable([of_bars for _, of_bars in used]):
        return used
    if len(markets.each) == 1:
        raise TooFewRows(
            f"{markets.source}: {markets.rows} rows are too few for a horizon of {horizon_days} "
            f"days; give at least {rows_needed(horizon_days=horizon_days)} rows or shorten it"
        )
    raise TooFewRows(
        f"{markets.source}: the markets have too few days in common: those with days to train on "
        f"have none to validate or to test on at a horizon of {horizon_days} days "
        f"({markets.source_shape}); give markets of the same years, or shorten the horizon"
    )


def _chosen(splits: Splits, *, final: bool, with_test: bool) -> Splits:
    splits = splits.final if final else splits
    return splits if with_test else splits.without_test


def scale(
    features: npt.NDArray[np.float64],
    mean: npt.NDArray[np.float64],
    std: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """The features (rows, features) as the network gets them: standardised, in float32."""
    return ((features - mean) / std).astype(np.float32)


def _ends(of_markets: Sequence[range], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The end rows among the rows of all markets, of end rows counted in each."""
    counted = zip(starts, of_markets, strict=False)
    return np.concatenate([start + np.arange(r.start, r.stop) for start, r in counted])


def thinned(
    ends: npt.NDArray[np.int64], dates: npt.NDArray[np.datetime64], most: int
) -> npt.NDArray[np.int64]:
    """At most `most` of the end rows, evenly over their days; `dates` are of all rows."""
    if len(ends) <= most:
        return ends
    by_day = ends[np.argsort(dates[ends], kind="stable")]
    return np.sort(by_day[np.arange(most) * len(ends) // most])


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


def _one_class(markets: Markets, base_rate: float, horizon_days: int, task: Task) -> OneClassOnly:
    rise = f"rises by {task.threshold * 100:g} % within {horizon_days} days"
    said = f"no training day {rise}" if base_rate == 0 else f"every training day {rise}"
    advice = (
        "lower the threshold or lengthen the horizon"
        if base_rate == 0
        else "raise the threshold or shorten the horizon"
    )
    return OneClassOnly(f"{markets.source}: {said}, so there is nothing to tell apart; {advice}")

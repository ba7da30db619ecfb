"""The losses of the validation windows of each market, of data of several."""

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from mlproject.data.windows import WindowedData

Losses = tuple[float | None, ...]
"""Nats, the mean over the windows of each market, in the order of the data's markets; None of a
market that has no window there."""


def market_losses(data: WindowedData, logits: Tensor) -> Losses:
    """The losses of logits (windows,) for the validation windows."""
    losses = functional.binary_cross_entropy_with_logits(
        logits, data.labels[data.validation], reduction="none"
    )
    return _means(losses.cpu().double().numpy(), data)


def market_prior_losses(data: WindowedData) -> Losses:
    """The validation losses of each market's own prior: always predicting its training base rate.

    A base rate of few windows may be 0 or 1, where one wrong window would cost infinitely much; so
    one window more is counted, of the base rate of all markets.
    """
    market, labels = data.market_of(data.train), data.labels[data.train].cpu().numpy()
    rises = np.bincount(market, labels, minlength=len(data.markets)) + data.base_rate
    rates = (rises / (window_counts(data, data.train) + 1))[data.market_of(data.validation)]
    truth = data.labels[data.validation].cpu().numpy() > 0.5
    return _means(-np.log(np.where(truth, rates, 1 - rates)), data)


def window_counts(data: WindowedData, ends: Tensor) -> npt.NDArray[np.int64]:
    """How many of the windows that end at the rows `ends` each market has, (markets,)."""
    return np.bincount(data.market_of(ends), minlength=len(data.markets))


def _means(losses: npt.NDArray[np.float64], data: WindowedData) -> Losses:
    market = data.market_of(data.validation)
    sums = np.bincount(market, losses, minlength=len(data.markets))
    counts = np.bincount(market, minlength=len(data.markets))
    return tuple(float(s / n) if n else None for s, n in zip(sums, counts, strict=True))

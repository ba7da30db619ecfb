"""The scores of one trial on the validation span that need more than its mean loss.

Every one has an interval that knows that neighbouring days go together. It does not know that the
epoch was chosen by these days, nor that the trial may be the best of many: what is claimed of a
study is in `verdicts`.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from mlproject.analysis.claims.day_means import Days, Interval
from mlproject.analysis.claims.log_losses import log_losses
from mlproject.analysis.claims.score_influences import (
    auc_influences,
    average_precision_influences,
)
from mlproject.analysis.claims.skill_parts import discrimination
from mlproject.analysis.claims.verdicts import MIN_BLOCKS, cross_fitted
from mlproject.data.windows import WindowedData
from mlproject.tracking.names import Metric
from mlproject.training.epoch_metrics import EpochMetrics

Floats = npt.NDArray[np.float64]


def trial_scores(
    data: WindowedData,
    logits: Sequence[float],
    epochs: Sequence[EpochMetrics],
    *,
    prior_loss: float,
) -> dict[Metric, float]:
    """The metrics of a trial whose logits (windows,) at its best epoch are these.

    What cannot be told has no metric: of labels that are all the same, of a single day, of too few
    blocks of days.
    """
    ends = data.validation.cpu().numpy()
    labels = data.labels.cpu().numpy()[ends].astype(np.float64)
    said = np.asarray(logits, dtype=np.float64)
    losses = log_losses(expit(said), labels)
    prior = log_losses(np.full(len(labels), data.base_rate), labels)
    series = {
        Metric.SKILL: (prior - losses) / prior_loss,
        Metric.VAL_ACCURACY: ((said > 0) == (labels > 0.5)).astype(np.float64),
    }
    if labels.min() < labels.max():
        series[Metric.VAL_AUC] = auc_influences(said, labels)
        series[Metric.VAL_AVERAGE_PRECISION] = average_precision_influences(said, labels)
    days = Days(data.dates[ends], data.horizon_days)
    found: dict[Metric, float] = {}
    apart = discrimination(said, labels)
    if apart is not None:
        series[Metric.SKILL_DISCRIMINATION] = apart / prior_loss
        found[Metric.SKILL_DISCRIMINATION] = float(series[Metric.SKILL_DISCRIMINATION].mean())
        found[Metric.SKILL_BASE_RATE] = float(
            series[Metric.SKILL].mean() - found[Metric.SKILL_DISCRIMINATION]
        )
    intervals = days.intervals([each[None] for each in series.values()])
    for metric, interval in zip(series, intervals, strict=True):
        found |= _limits(metric, interval)
    adjusted = _adjusted_loss(data, epochs)
    if adjusted is not None:
        found[Metric.SKILL_ADJUSTED] = 1 - adjusted / prior_loss
    return found


def _limits(metric: Metric, interval: Interval) -> Mapping[Metric, float]:
    if not math.isfinite(interval.high - interval.low):
        return {}
    low, high = interval.low, interval.high
    if metric not in (Metric.SKILL, Metric.SKILL_DISCRIMINATION):
        low, high = max(0.0, low), min(1.0, high)
    return {Metric(f"{metric}.low"): low, Metric(f"{metric}.high"): high}


def _adjusted_loss(data: WindowedData, epochs: Sequence[EpochMetrics]) -> float | None:
    """The loss without the luck of having chosen the epoch; None where there is no telling."""
    counts = np.bincount(data.validation_blocks)
    blocks = [epoch.val_block_losses for epoch in epochs]
    known = [each for each in blocks if each is not None and len(each) == len(counts)]
    if len(counts) < MIN_BLOCKS or not known or len(known) < len(blocks):
        return None
    weights = counts / counts.sum()
    return float(weights @ cross_fitted([np.array(known)], weights))

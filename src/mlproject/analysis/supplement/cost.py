"""The estimate of how long a trial will take, judged by the trials of its study."""

from dataclasses import dataclass

import numpy as np

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.tracking.names import Metric, Param
from mlproject.tracking.tracked_studies import TrackedTrial

_DEPTHS_FOR_A_LINE = 3


@dataclass(frozen=True)
class EpochTime:
    """The seconds of one epoch, as a line in the number of layers.

    At a fixed budget the arithmetic of all architectures is about the same; what grows is the
    number of operations that wait for each other, one set per layer.
    """

    base_seconds: float
    seconds_per_layer: float

    def of_trial(self, n_layers: int, epochs: int) -> float:
        """The seconds that a trial takes if it is neither pruned nor stopped early."""
        return epochs * (self.base_seconds + self.seconds_per_layer * n_layers)


def fit_epoch_time(study: AnalysedStudy) -> EpochTime | None:
    """Fit the line to the study's trials by least squares; None where none has a duration.

    With fewer than three depths, or where epochs get shorter with depth, it is level at the median.
    """
    points = [point for trial in study.finished if (point := _point(trial)) is not None]
    if not points:
        return None
    layers, seconds = np.array(points).T
    if len(set(layers)) >= _DEPTHS_FOR_A_LINE:
        slope, base = np.polyfit(layers, seconds, 1)
        if slope > 0 and base >= 0:
            return EpochTime(float(base), float(slope))
        if slope > 0:  # a line through the origin rather than negative seconds
            return EpochTime(0.0, float(layers @ seconds / (layers @ layers)))
    return EpochTime(float(np.median(seconds)), 0.0)


def _point(trial: TrackedTrial) -> tuple[float, float] | None:
    """The (layers, seconds per epoch) of a trial; None where they are not known."""
    run = trial.trial
    epochs = run.metrics.get(Metric.EPOCHS_RUN) or run.params.get(Param.EPOCHS)
    seconds = run.metrics.get(Metric.DURATION_SECONDS)
    if seconds is None and run.ended_ms is not None:
        seconds = (run.ended_ms - run.started_ms) / 1000
    layers = run.params.get(Param.N_LAYERS)
    if not epochs or not seconds or not layers:
        return None
    return float(layers), seconds / float(epochs)

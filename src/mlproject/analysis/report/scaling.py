"""The numbers behind the scaling figure: what the trials of each target say of scale.

How they are drawn stands in `scaling_figure`, how the law is fitted in `power_law`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlproject.analysis.report.power_law import LEAST_TRIALS, PowerLaw, fit_power_law


@dataclass(frozen=True, kw_only=True)
class TargetScaling:
    """The trials of one target, the best of each study, and the law that is fitted to them."""

    target: str
    trials: pd.DataFrame
    best: pd.DataFrame
    law: PowerLaw | None
    priors: tuple[float, ...]
    """Losses of always predicting the training base rate; several where the data differ."""
    top: float
    """Trials above this loss would squeeze the others together: they are left out of sight."""

    @property
    def out_of_sight(self) -> int:
        """How many trials are above `top`."""
        return int((self.trials["loss"] > self.top).sum())

    @property
    def bottom(self) -> float:
        """The lowest loss that is shown, a little below all trials and priors."""
        lowest = min([self.trials["loss"].min(), *self.priors])
        return float(lowest - 0.08 * (self.top - lowest))


def scaling_of_targets(frame: pd.DataFrame) -> list[TargetScaling]:
    """The numbers of every target, in the order of the frame."""
    return [_scaling(str(name), trials) for name, trials in frame.groupby("target", sort=False)]


def _scaling(target: str, trials: pd.DataFrame) -> TargetScaling:
    studies = [
        (each["param_count"].to_numpy(np.float64), each["loss"].to_numpy(np.float64))
        for _, each in trials.groupby("study", sort=False)
    ]
    priors = tuple(sorted({round(float(p), 4) for p in trials["prior_loss"].dropna()}))
    lower, upper = trials["loss"].quantile([0.25, 0.75])
    return TargetScaling(
        target=target,
        trials=trials,
        best=trials.loc[trials.groupby("study")["loss"].idxmin()],
        law=fit_power_law(studies),
        priors=priors,
        top=max(float(min(upper + 1.5 * (upper - lower), trials["loss"].max())), *priors, 0.0)
        * 1.01,
    )


def verdict(scaling: TargetScaling) -> str:
    """Whether scale helps at this target, in one line: only where the interval leaves out zero."""
    start = f"{scaling.target}:"
    prior = "" if scaling.priors else " No run says the prior."
    if scaling.law is None:
        wanted = f"studies of two sizes with {LEAST_TRIALS} trials each"
        return f"{start} no law, for want of {wanted}.{prior}"
    fitted, low, high = scaling.law.per_tenfold
    change = f"{fitted:+.1%} loss per tenfold parameters ({low:+.1%} to {high:+.1%})"
    if high < 0:
        said = "scale helps"
    elif low > 0:
        said = "scale hurts"
    else:
        said = "no effect of scale that these trials could show"
    return f"{start} {change}, {said}.{prior}"

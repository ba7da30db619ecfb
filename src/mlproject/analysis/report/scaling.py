"""The numbers behind the scaling figure: what the trials of each target say of scale.

How they are drawn stands in `scaling_figure`, how sizes are compared in `claims.size_effect`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlproject.analysis.claims.size_effect import (
    POWER,
    NoSizeEffect,
    SizedStudy,
    SizeEffect,
    SizeVerdict,
    size_effect,
)
from mlproject.analysis.report.best import BY_ESTIMATE


@dataclass(frozen=True, kw_only=True)
class TargetScaling:
    """The trials of one target, the best of each study, and what they say of size."""

    target: str
    trials: pd.DataFrame
    luckiest: pd.DataFrame
    recommended: pd.DataFrame
    """What the studies that made an estimate recommend, as `best_architectures` has it."""
    effect: SizeEffect | NoSizeEffect
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
        of_trials = self.trials["loss"].min()
        lowest = min([of_trials, *self.priors, *self.recommended["expected_low"]])
        return float(lowest - 0.08 * (self.top - lowest))


def scaling_of_targets(
    frame: pd.DataFrame, stopped: pd.DataFrame, best: pd.DataFrame
) -> list[TargetScaling]:
    """The numbers of every target, in the order of the frame."""
    estimated = best[best["chosen_by"] == BY_ESTIMATE]
    return [
        _scaling(
            str(name),
            trials,
            stopped[stopped["target"] == name],
            estimated[estimated["target"] == name],
        )
        for name, trials in frame.groupby("target", sort=False)
    ]


def _scaling(
    target: str, trials: pd.DataFrame, stopped: pd.DataFrame, recommended: pd.DataFrame
) -> TargetScaling:
    priors = tuple(sorted({round(float(p), 4) for p in trials["prior_loss"].dropna()}))
    lower, upper = trials["loss"].quantile([0.25, 0.75])
    return TargetScaling(
        target=target,
        trials=trials,
        luckiest=trials.loc[trials.groupby("study")["loss"].idxmin()],
        recommended=recommended,
        effect=size_effect(
            [
                _sized(each, stopped[stopped["study"] == study])
                for study, each in trials.groupby("study", sort=False)
            ]
        ),
        priors=priors,
        top=max(float(min(upper + 1.5 * (upper - lower), trials["loss"].max())), *priors, 0.0)
        * 1.01,
    )


def _sized(complete: pd.DataFrame, stopped: pd.DataFrame) -> SizedStudy:
    trials = pd.concat(
        [complete.assign(complete=True), stopped.assign(complete=False)], ignore_index=True
    ).sort_values("number", kind="stable")
    return SizedStudy(
        params=float(trials["param_count"].median()),
        losses=trials["loss"].to_numpy(np.float64),
        complete=trials["complete"].to_numpy(np.bool_),
    )


def verdict(scaling: TargetScaling) -> str:
    """Whether scale helps at this target: only where the interval leaves out zero."""
    start = f"{scaling.target}:"
    prior = "" if scaling.priors else " No run says the prior."
    if isinstance(scaling.effect, NoSizeEffect):
        return f"{start} {SizeVerdict.CANNOT_BE_TOLD}: {scaling.effect.reason}.{prior}"
    fitted, low, high = scaling.effect.per_tenfold
    change = f"{fitted:+.1%} loss per tenfold parameters ({low:+.1%} to {high:+.1%})"
    return f"{start} {scaling.effect.verdict}: {change}.{prior} {_power(scaling.effect)}"


def _power(effect: SizeEffect) -> str:
    """What more of the same would tell, in one sentence."""
    return (
        f"Studies like these show a change of {effect.detectable:.1%} or more in {POWER:.0%} of "
        f"cases, with two more of every size, of other seeds, one of "
        f"{effect.detectable_with_more_studies:.1%}, with four times the trials in each one of "
        f"{effect.detectable_with_more_trials:.1%}; whether it holds on other days only more years "
        "of days would tell."
    )

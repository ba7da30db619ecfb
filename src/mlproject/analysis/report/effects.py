"""The effects of heads and feed-forward width on the loss, all else equal.

Trials differ in everything at once, and the sampler tries good regions more often. So the effect of
a factor is taken from a linear model of the loss, in which the study, width, depth, learning rate
and the other factor have terms of their own. Losses far above the others are brought down to the
fence of a box plot.

All intervals of a report hold at once: those of one factor at one budget by the largest |t| of them
(Hothorn, Bretz and Westfall, Simultaneous Inference in General Parametric Models, Biometrical
Journal 50, 2008), the factors and budgets by Šidák's inequality (Journal of the American
Statistical Association 62, 1967).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlproject.analysis.claims.joint_t import joint_critical_value
from mlproject.analysis.claims.outliers import fenced
from mlproject.analysis.report.shapes import learning_rate_terms

FACTORS = ("n_heads", "d_ff_ratio")
CONFIDENCE = 0.95

_COVARIATES = ("d_model", "n_layers")
_LEAST_TRIALS = 3
"""A value with fewer trials has no interval worth showing."""
_SPARE_TRIALS = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The effect of one value of a factor at one budget, in percent of a study's median loss."""

    budget: str
    factor: str
    value: float
    percent: float
    """Against the average of all values of the factor: negative is better."""
    low: float
    """All intervals of a report hold at once as often as `CONFIDENCE` says."""
    high: float
    trials: int


def architecture_effects(frame: pd.DataFrame) -> list[Effect]:
    """Estimate the effects of every factor at every budget that has trials enough for them."""
    panels = [
        panel
        for budget, trials in frame.groupby("budget", sort=False)
        for factor in FACTORS
        if (panel := _panel(trials, str(budget), factor)) is not None
    ]
    confidence = CONFIDENCE ** (1 / max(1, len(panels)))
    return [effect for panel in panels for effect in panel.effects(confidence)]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Panel:
    """The effects of one factor at one budget, before their intervals."""

    budget: str
    factor: str
    values: tuple[float, ...]
    trials: tuple[int, ...]
    percents: Floats
    covariance: Floats
    degrees: int

    def effects(self, confidence: float) -> list[Effect]:
        """The effects, with intervals that all hold as often as `confidence` says."""
        reach = joint_critical_value(self.covariance, self.degrees, confidence)
        errors = reach * np.sqrt(np.diag(self.covariance))
        return [
            Effect(
                budget=self.budget,
                factor=self.factor,
                value=value,
                percent=float(percent),
                low=float(percent - error),
                high=float(percent + error),
                trials=trials,
            )
            for value, trials, percent, error in zip(
                self.values, self.trials, self.percents, errors, strict=True
            )
        ]


def _panel(trials: pd.DataFrame, budget: str, factor: str) -> _Panel | None:
    """The effects of a factor at a budget; None where there are too few trials for them."""
    counts = trials[factor].value_counts()
    values = sorted(counts[counts >= _LEAST_TRIALS].index)
    trials = trials[trials[factor].isin(values)].reset_index(drop=True)
    if len(values) < 2:
        return None
    level = trials["loss"].to_numpy(np.float64) / trials.groupby("study")["loss"].transform(
        "median"
    ).to_numpy(np.float64)
    outcome = fenced(100 * np.log(level))
    has = np.column_stack([trials[factor] == value for value in values]).astype(np.float64)
    other = _other_terms(trials, factor)
    if len(trials) < has.shape[1] + other.shape[1] + _SPARE_TRIALS:
        return None
    design = np.column_stack([has, other])
    # The columns overlap (each row has one study and one value): of all least-squares solutions
    # this is the shortest. What is asked for, values against their mean, is the same in all.
    found, _, rank, _ = np.linalg.lstsq(design, outcome, rcond=None)
    degrees = len(outcome) - int(rank)
    variance = float(((outcome - design @ found) ** 2).sum()) / degrees
    against_mean = np.eye(len(values)) - has.mean(axis=0)
    covariance = variance * np.linalg.pinv(design.T @ design)[: len(values), : len(values)]
    return _Panel(
        budget=budget,
        factor=factor,
        values=tuple(float(value) for value in values),
        trials=tuple(int(counts[value]) for value in values),
        percents=against_mean @ found[: len(values)],
        covariance=against_mean @ covariance @ against_mean.T,
        degrees=degrees,
    )


def _other_terms(trials: pd.DataFrame, factor: str) -> Floats:
    """The columns of the model besides the factor's own."""
    columns = [trials["study"] == study for study in trials["study"].unique()]
    for name in (other for other in FACTORS if other != factor):
        columns += [trials[name] == value for value in sorted(trials[name].unique())]
    for name in _COVARIATES:
        logs = np.log2(trials[name].astype(float))
        columns.append((logs - logs.mean()).fillna(0.0))
    columns += learning_rate_terms(trials)
    return np.column_stack(columns).astype(np.float64)

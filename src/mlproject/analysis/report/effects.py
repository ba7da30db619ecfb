"""The effects of heads and feed-forward width on the loss, all else equal.

Trials differ in everything at once, and the sampler tries good regions more often. So the effect of
a factor is taken from a linear model of the loss, in which the study, width, depth, learning rate
and the other factor have terms of their own. Its intervals are bootstrap percentiles, trials drawn
anew within each study (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FACTORS = ("n_heads", "d_ff_ratio")
RESAMPLES = 500
CONFIDENCE = 0.95

_COVARIATES = ("d_model", "n_layers", "learning_rate")
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
    high: float
    trials: int


def architecture_effects(frame: pd.DataFrame) -> list[Effect]:
    """Estimate the effects of every factor at every budget that has trials enough for them."""
    found: list[Effect] = []
    for budget, trials in frame.groupby("budget", sort=False):
        for factor in FACTORS:
            found += _effects_of(trials, str(budget), factor)
    return found


def _effects_of(trials: pd.DataFrame, budget: str, factor: str) -> list[Effect]:
    counts = trials[factor].value_counts()
    values = sorted(counts[counts >= _LEAST_TRIALS].index)
    trials = trials[trials[factor].isin(values)].reset_index(drop=True)
    if len(values) < 2:
        return []
    level = trials["loss"].to_numpy(np.float64) / trials.groupby("study")["loss"].transform(
        "median"
    ).to_numpy(np.float64)
    outcome = 100 * np.log(level)
    has = np.column_stack([trials[factor] == value for value in values]).astype(np.float64)
    other = _other_terms(trials, factor)
    if len(trials) < has.shape[1] + other.shape[1] + _SPARE_TRIALS:
        return []
    share = has.mean(axis=0)
    fitted = _solve(has, other, outcome, share)
    generator = np.random.default_rng(0)
    rows = trials.groupby("study").indices
    resampled = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([generator.choice(each, len(each)) for each in rows.values()])
        resampled.append(_solve(has[drawn], other[drawn], outcome[drawn], share))
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.nanquantile(resampled, tails, axis=0)
    return [
        Effect(
            budget=budget,
            factor=factor,
            value=float(value),
            percent=float(fitted[index]),
            low=float(low[index]),
            high=float(high[index]),
            trials=int(counts[value]),
        )
        for index, value in enumerate(values)
    ]


def _other_terms(trials: pd.DataFrame, factor: str) -> Floats:
    """The columns of the model besides the factor's own."""
    columns = [trials["study"] == study for study in trials["study"].unique()]
    for name in (other for other in FACTORS if other != factor):
        columns += [trials[name] == value for value in sorted(trials[name].unique())]
    for name in _COVARIATES:
        logs = np.log2(trials[name].astype(float))
        columns.append((logs - logs.mean()).fillna(0.0))
    return np.column_stack(columns).astype(np.float64)


def _solve(has: Floats, other: Floats, outcome: Floats, share: Floats) -> Floats:
    """Estimate the coefficient of each value less their mean; NaN for a value that no row has.

    The columns overlap (each row has one study and one value), so of all least-squares solutions it
    is the shortest; differences between values are the same in all of them.
    """
    found, *_ = np.linalg.lstsq(np.column_stack([has, other]), outcome, rcond=None)
    coefficients = np.where(has.any(axis=0), found[: has.shape[1]], np.nan)
    present = ~np.isnan(coefficients)
    mean = np.average(coefficients[present], weights=share[present])
    return np.asarray(coefficients - mean, dtype=np.float64)

"""What is to be expected of cells that had few trials each, such as pairs of width and depth.

The lowest loss of a cell is luck, the more so the more trials it had. So a cell is estimated by the
mean of its trials, drawn towards the mean of all, the further the fewer they are and the less the
cells differ at all (empirical Bayes; Efron and Morris, Data Analysis Using Stein's Estimator and
its Generalizations, Journal of the American Statistical Association 70, 1975). How much cells
differ is not known well from fifty trials: the estimate is the mean over what it may be, with the
prior for it of Gelman (Prior Distributions for Variance Parameters in Hierarchical Models, Bayesian
Analysis 1, 2006). An estimate of this kind needs no correction for having been chosen (Efron,
Tweedie's Formula and Selection Bias, Journal of the American Statistical Association 106, 2011).

Whether the cells differ at all is asked by an F test. Which of them may be the best is told by
comparing each with every other (Hsu, Simultaneous Confidence Intervals for All Distances from the
"Best", Annals of Statistics 9, 1981), with Bonferroni's correction: what loses is no more the best.

Whatever else trials differ in has terms of its own. Losses far above the others are brought down to
the fence of a box plot: one bad trial says little of its cell.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from mlproject.analysis.claims.outliers import fenced

CONFIDENCE = 0.95
POWER = 0.8

_RATIOS = np.concatenate([[0.0], np.geomspace(0.02, 50.0, 30)])
"""What the standard deviation of cells may be, in those of a trial about its cell."""
_PRIOR_SCALE = 0.5
"""Of the half-Cauchy prior for it."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Estimates:
    """Expected losses with their standard errors."""

    losses: Floats
    errors: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class CellEstimates:
    """The estimates of all cells that had a trial."""

    cells: tuple[Any, ...]
    counts: npt.NDArray[np.int64]
    """Of trials, per cell."""
    of_cells: Estimates
    """Of each cell, at the middle of everything else."""
    of_trials: Estimates
    """Of each trial's cell, at everything else that the trial had."""
    scatter: float
    """The standard deviation of a trial about its cell."""
    degrees: int
    """Degrees of freedom of the intervals; 0 where there are too few trials for any."""
    p_value: float | None
    """Of the test that no cell differs from the others; None where there is no telling, since no
    trial is left to show what a cell scatters by."""
    among_best: Bools
    """(cells,): cannot be told from the best. The best one is among them in `CONFIDENCE` of
    cases, whichever it is."""

    @property
    def differ(self) -> bool:
        """Whether it is safe to say that the cells differ at all."""
        return self.p_value is not None and self.p_value < 1 - CONFIDENCE

    @property
    def reach(self) -> float:
        """Half of an interval, in standard errors."""
        if not self.degrees:
            return math.inf
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees))

    def trials_to_tell(self, difference: float) -> int:
        """How many trials of each cell it takes to tell the best from one worse by so much."""
        others = max(1, len(self.cells) - 1)
        needed = stats.norm.isf((1 - CONFIDENCE) / others) + stats.norm.ppf(POWER)
        return math.ceil(2 * (needed * self.scatter / difference) ** 2)


def cell_estimates(cells: pd.Series, losses: Floats, terms: Floats) -> CellEstimates:
    """Estimate the cells of trials.

    `cells` has the cell of each trial, `losses` its loss, and `terms` (trials, terms) what else is
    accounted for; the columns have to hold a constant among them, as one of each study does.
    """
    codes, names = pd.factorize(cells, sort=True)
    trials = _Trials(
        codes=np.asarray(codes), losses=fenced(losses), terms=_orthogonal(terms), cells=len(names)
    )
    of_cells, of_trials, scatter = _shrunken(trials)
    p_value, among_best = _compared(trials)
    return CellEstimates(
        cells=tuple(names),
        counts=trials.counts,
        of_cells=of_cells,
        of_trials=of_trials,
        scatter=scatter,
        degrees=trials.degrees,
        p_value=p_value,
        among_best=among_best,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trials:
    """The trials, with the sums over each cell that all estimates are made of."""

    codes: npt.NDArray[np.int64]
    losses: Floats
    terms: Floats
    cells: int

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        return np.bincount(self.codes, minlength=self.cells)

    @cached_property
    def loss_sums(self) -> Floats:
        sums = np.bincount(self.codes, weights=self.losses, minlength=self.cells)
        return np.asarray(sums, dtype=np.float64)

    @cached_property
    def term_sums(self) -> Floats:
        sums = np.zeros((self.cells, self.terms.shape[1]))
        np.add.at(sums, self.codes, self.terms)
        return sums

    @property
    def degrees(self) -> int:
        return max(0, len(self.losses) - self.terms.shape[1])


def _orthogonal(terms: Floats) -> Floats:
    """An orthogonal basis of the columns, which may overlap."""
    vectors, values, _ = np.linalg.svd(terms, full_matrices=False)
    return np.asarray(vectors[:, values > 1e-9 * values[0]], dtype=np.float64)


def _shrunken(trials: _Trials) -> tuple[Estimates, Estimates, float]:
    """The estimates of cells and of trials, and the scatter of a trial about its cell."""
    if not trials.degrees:
        unknown = [
            Estimates(losses=np.full(n, np.nan), errors=np.full(n, np.inf))
            for n in (trials.cells, len(trials.losses))
        ]
        return unknown[0], unknown[1], math.nan
    fits = [_MixedModel.of(trials, float(ratio)) for ratio in _RATIOS]
    logs = np.array([fit.log_likelihood for fit in fits])
    prior = 1 / (1 + (_RATIOS / _PRIOR_SCALE) ** 2)
    weights = np.exp(logs - logs.max()) * prior * np.gradient(_RATIOS)
    weights /= weights.sum()
    every_cell = np.arange(trials.cells)
    middle = np.broadcast_to(trials.terms.mean(axis=0), (trials.cells, trials.terms.shape[1]))
    return (
        _mixture(weights, [fit.expected(trials, middle, every_cell) for fit in fits]),
        _mixture(weights, [fit.expected(trials, trials.terms, trials.codes) for fit in fits]),
        math.sqrt(float(weights @ [fit.variance for fit in fits])),
    )


def _mixture(weights: Floats, parts: list[tuple[Floats, Floats]]) -> Estimates:
    """Means and standard deviations of a mixture, from means and variances of its parts."""
    means, variances = (np.array(each) for each in zip(*parts, strict=True))
    mean = weights @ means
    return Estimates(losses=mean, errors=np.sqrt(weights @ (variances + (means - mean) ** 2)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _MixedModel:
    """The model in which the ratio of the two standard deviations is given: all is then exact."""

    pull: Floats
    """(cells,): what of a cell's sum of residuals is taken for the cell's own."""
    coefficients: Floats
    covariance: Floats
    """Of the coefficients, in units of `variance`."""
    variance: float
    """Of a trial about its cell."""
    log_likelihood: float
    """Restricted, but for a constant."""

    @classmethod
    def of(cls, trials: _Trials, ratio: float) -> "_MixedModel":
        pull = np.asarray(ratio**2 / (1 + ratio**2 * trials.counts), dtype=np.float64)
        of_cells = trials.term_sums
        information = trials.terms.T @ trials.terms - (of_cells.T * pull) @ of_cells
        moment = trials.terms.T @ trials.losses - of_cells.T @ (pull * trials.loss_sums)
        covariance = np.asarray(np.linalg.pinv(information), dtype=np.float64)
        coefficients = covariance @ moment
        squares = trials.losses @ trials.losses - pull @ trials.loss_sums**2
        residuals = max(float(squares - moment @ coefficients), 1e-12)
        determinants = np.log1p(ratio**2 * trials.counts).sum() + np.linalg.slogdet(information)[1]
        return cls(
            pull=pull,
            coefficients=coefficients,
            covariance=covariance,
            variance=residuals / trials.degrees,
            log_likelihood=-0.5 * float(determinants + trials.degrees * math.log(residuals)),
        )

    def expected(
        self, trials: _Trials, terms: Floats, cells: npt.NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Means and variances of what to expect of cells, with these terms."""
        pull, of_cells = self.pull[cells], trials.term_sums[cells]
        own = pull * (trials.loss_sums[cells] - of_cells @ self.coefficients)
        left = terms - pull[:, None] * of_cells
        uncertain = np.einsum("ij,jk,ik->i", left, self.covariance, left)
        return terms @ self.coefficients + own, self.variance * (pull + uncertain)


def _compared(trials: _Trials) -> tuple[float | None, Bools]:
    """The F test's p-value, see `CellEstimates`, and the cells that may be the best."""
    cells = np.zeros((len(trials.losses), trials.cells))
    cells[np.arange(len(cells)), trials.codes] = 1
    design = np.column_stack([cells, trials.terms])
    solution, _, rank, _ = np.linalg.lstsq(design, trials.losses, rcond=None)
    spare = len(trials.losses) - int(rank)
    more = int(rank) - trials.terms.shape[1]
    undecided = np.ones(trials.cells, dtype=np.bool_)
    if spare < 1 or more < 1:
        return None, undecided
    within = float(((trials.losses - design @ solution) ** 2).sum())
    without = trials.losses - trials.terms @ (trials.terms.T @ trials.losses)
    between = float((without**2).sum()) - within
    variance = within / spare
    p_value = float(stats.f.sf(between / more / variance, more, spare)) if variance else 0.0
    if p_value >= 1 - CONFIDENCE:
        return p_value, undecided
    errors = variance * np.linalg.pinv(design.T @ design)[: trials.cells, : trials.cells]
    variances = np.add.outer(np.diag(errors), np.diag(errors)) - 2 * errors
    critical = stats.t.isf((1 - CONFIDENCE) / (trials.cells - 1), spare)
    behind = np.subtract.outer(solution[: trials.cells], solution[: trials.cells])
    beaten = behind > critical * np.sqrt(np.maximum(variances, 0)) + 1e-12
    return p_value, ~beaten.any(axis=1)

"""Verdicts on a study: whether its best network is better than a reference, or only lucky.

The lowest of many validation losses is too low: it was chosen for being low. Two things are done
about it, both on means over blocks of days, since losses of neighbouring days go together.

*Adjusted loss.* For each block of days the trial and epoch are chosen by the other blocks (those
next to it left out too, which share days with it) and the loss is read in this one. The mean over
blocks is a loss that nothing was chosen by (cross-fitting; for the same use of it see Chernozhukov
et al., 'Double/debiased machine learning', 2018). Choices on overlapping blocks go together, so
that the plain t interval is too short (Bates, Hastie and Tibshirani, 'Cross-validation: what does
it estimate', 2023); it is widened by `WIDENED`, which docs/claims.md measures.

*Test.* The largest studentised mean difference over all trials and epochs is compared with what it
is when the signs of whole blocks are flipped, as could as well have been if no trial differed from
the reference (White, 'A reality check for data snooping', 2000, studentised as by Hansen, 'A test
for superior predictive ability', 2005; sign flips as in Romano and Wolf, 'Exact and approximate
stepdown methods', 2005). It so knows how many were tried and how alike they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from mlproject.analysis.claims.references import References
from mlproject.tracking.names import TrialState
from mlproject.tracking.trial_run import TrialRun

Floats = npt.NDArray[np.float64]

MIN_BLOCKS = 6
"""With fewer, no pattern of signs is rarer than 1 in 20."""
LEVEL = 0.05
"""How often a verdict may be wrong where there is nothing."""
CONFIDENCE = 0.90
"""Of the intervals."""
WIDENED = 1.3
_TINY = 1e-12


class Verdict(StrEnum):
    """How the best network of a study stands against a reference."""

    BETTER = "better"
    UNDECIDED = "undecided"
    WORSE = "worse"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A study's best network against a reference. Losses are in nats; negative is better."""

    verdict: Verdict
    difference: float | None = None
    """Of the adjusted loss from the reference's; None where it cannot be had."""
    low: float | None = None
    high: float | None = None
    """The ends of its interval."""
    p_value: float | None = None
    """How likely trials as good as these would be if none were better than the reference."""
    reason: str = ""
    """Why nothing can be said, where that is so."""


@dataclass(frozen=True, kw_only=True)
class StudyClaims:
    """What may be said of a study."""

    prior: Comparison
    baseline: Comparison
    baseline_name: str
    baseline_loss: float
    prior_loss: float
    val_loss_adjusted: float | None
    """The best trial's validation loss without the luck of having been chosen."""
    n_trials: int
    """With losses by block, among which the best was chosen."""
    baseline_losses: dict[str, float]
    """Validation loss of each baseline."""

    @property
    def skill_adjusted(self) -> float | None:
        """As `skill`, of the adjusted loss."""
        if self.val_loss_adjusted is None:
            return None
        return 1 - self.val_loss_adjusted / self.prior_loss


def claims_of(runs: Sequence[TrialRun], references: References) -> StudyClaims:
    """What may be said of a study with these trials. Nothing is better by default."""
    n_blocks = len(references.weights)
    complete = [run for run in runs if run.state is TrialState.COMPLETE and not run.is_recovered]
    losses = [found for run in complete if (found := _block_losses(run, n_blocks)) is not None]
    name = references.best_baseline
    baseline = references.baselines[name]
    reason = _why_not(complete, losses, n_blocks)
    adjusted = None
    if losses and n_blocks >= MIN_BLOCKS:
        adjusted = float(references.weights @ cross_fitted(losses, references.weights))
    return StudyClaims(
        prior=compare(losses, references.prior, references.weights, reason),
        baseline=compare(losses, baseline, references.weights, reason),
        baseline_name=name,
        baseline_loss=references.loss(baseline),
        prior_loss=references.loss(references.prior),
        val_loss_adjusted=adjusted,
        n_trials=len(losses),
        baseline_losses={n: references.loss(found) for n, found in references.baselines.items()},
    )


def compare(
    losses: Sequence[Floats], reference: Floats, weights: Floats, reason: str = ""
) -> Comparison:
    """Compare the best of trials with a reference.

    Args:
        losses: of each trial, (epochs, blocks).
        reference: (blocks,).
        weights: (blocks,), the share of windows in each block.
        reason: why nothing can be said; empty where something can.
    """
    if reason:
        return Comparison(verdict=Verdict.UNDECIDED, reason=reason)
    differences = cross_fitted(losses, weights) - reference
    difference = float(weights @ differences)
    blocks = len(weights)
    error = WIDENED * differences.std(ddof=1) / np.sqrt(blocks)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, blocks - 1) * error)
    p_value = best_of_many_p_value(np.concatenate(losses) - reference)
    verdict = Verdict.UNDECIDED
    if difference + half < 0 and p_value <= LEVEL:
        verdict = Verdict.BETTER
    elif difference - half > 0:
        verdict = Verdict.WORSE
    return Comparison(
        verdict=verdict,
        difference=difference,
        low=difference - half,
        high=difference + half,
        p_value=p_value,
    )


def cross_fitted(losses: Sequence[Floats], weights: Floats) -> Floats:
    """In each block (blocks,) the loss of the trial and epoch that the blocks apart from it choose.

    `losses` are (epochs, blocks) of each trial.
    """
    every = np.concatenate(losses)
    block = np.arange(len(weights))
    found = np.empty(len(weights))
    for held_out in block:
        apart = np.abs(block - held_out) > 1
        chosen = (every[:, apart] @ weights[apart]).argmin()
        found[held_out] = every[chosen, held_out]
    return found


def best_of_many_p_value(differences: Floats) -> float:
    """The p-value of the lowest studentised mean of the rows of (candidates, blocks).

    Of the hypothesis that no row has a mean below zero. All patterns of signs are gone through, the
    observed one among them.
    """
    blocks = differences.shape[1]
    patterns = np.arange(2**blocks)[:, None] >> np.arange(blocks) & 1
    squares = (differences**2).mean(axis=1)

    def lowest(signs: npt.NDArray[Any]) -> Floats:
        means = signs @ differences.T / blocks
        errors = np.sqrt(np.maximum(squares - means**2, _TINY**2) / (blocks - 1))
        return (means / errors).min(axis=1)

    signs = 1.0 - 2.0 * patterns
    observed = lowest(signs[:1])[0]
    # In parts: a study of fifty trials has five thousand rows.
    null = np.concatenate([lowest(part) for part in np.array_split(signs, 16) if len(part)])
    return float((null <= observed + 1e-9 * abs(observed)).mean())


def _block_losses(run: TrialRun, n_blocks: int) -> Floats | None:
    """(epochs, blocks) of a trial; None where an epoch has none."""
    found = [epoch.val_block_losses for epoch in run.epochs]
    known = [each for each in found if each is not None and len(each) == n_blocks]
    return np.array(known) if known and len(known) == len(found) else None


def _why_not(complete: Sequence[TrialRun], losses: Sequence[Floats], n_blocks: int) -> str:
    if n_blocks < MIN_BLOCKS:
        return (
            f"the validation span has {n_blocks} independent blocks of days and {MIN_BLOCKS} are "
            "needed: give more days, or a shorter horizon"
        )
    if not complete:
        return "no trial of this program is complete yet"
    if not losses:
        return "its trials were run before losses were kept by block of days"
    return ""

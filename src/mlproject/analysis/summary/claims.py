"""What may be claimed of a study, in words and as metrics and tags of its parent run."""

from collections.abc import Iterator

from mlproject.analysis.baselines.baseline import TITLES
from mlproject.analysis.claims.verdicts import CONFIDENCE, Comparison, StudyClaims, Verdict
from mlproject.text.phrases import counted
from mlproject.tracking.names import (
    VERDICT_BASELINES_TAG,
    VERDICT_PRIOR_TAG,
    ClaimMetric,
    of_difference,
    validation_loss_of,
)


def claims_as_logged(claims: StudyClaims) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics and tags of the parent run; what cannot be said has no metric."""
    adjusted = {
        ClaimMetric.VAL_LOSS_ADJUSTED: claims.val_loss_adjusted,
        ClaimMetric.SKILL_ADJUSTED: claims.skill_adjusted,
    }
    metrics = {
        **{str(name): value for name, value in adjusted.items() if value is not None},
        **_of_comparison(ClaimMetric.LOSS_DIFFERENCE_PRIOR, claims.prior),
        **_of_comparison(ClaimMetric.LOSS_DIFFERENCE_BASELINES, claims.baseline),
        **{validation_loss_of(name): loss for name, loss in claims.baseline_losses.items()},
    }
    tags = {
        VERDICT_PRIOR_TAG: claims.prior.verdict.value,
        VERDICT_BASELINES_TAG: claims.baseline.verdict.value,
    }
    return metrics, tags


def claims_in_words(claims: StudyClaims) -> Iterator[str]:
    """Paragraphs of the study's note."""
    yield _sentence(claims.prior, "the prior (always predicting the training base rate)", claims)
    title = f"{TITLES[claims.baseline_name]} (validation loss {claims.baseline_loss:.4f})"
    yield _sentence(claims.baseline, f"the best simple baseline, {title}", claims)
    if claims.val_loss_adjusted is not None and claims.skill_adjusted is not None:
        yield (
            f"Without the luck of having been chosen among {counted(claims.n_trials, 'trial')} and "
            f"their epochs, its validation loss is about {claims.val_loss_adjusted:.4f}, a skill "
            f"of {claims.skill_adjusted:.2%}."
        )


def _of_comparison(metric: ClaimMetric, comparison: Comparison) -> dict[str, float]:
    values = {
        str(metric): comparison.difference,
        of_difference(metric, "low"): comparison.low,
        of_difference(metric, "high"): comparison.high,
        of_difference(metric, "p_value"): comparison.p_value,
    }
    return {name: value for name, value in values.items() if value is not None}


def _sentence(comparison: Comparison, reference: str, claims: StudyClaims) -> str:
    if comparison.difference is None:
        return f"**Undecided** against {reference}: {comparison.reason}."
    figures = (
        f"loss difference {comparison.difference:+.4f}, {CONFIDENCE:.0%} interval "
        f"{comparison.low:+.4f} to {comparison.high:+.4f}, p = {comparison.p_value:.3f} with "
        f"{counted(claims.n_trials, 'trial')} tried"
    )
    match comparison.verdict:
        case Verdict.BETTER:
            return f"**Better** than {reference}: {figures}."
        case Verdict.WORSE:
            return f"**Worse** than {reference}: {figures}."
    return f"**Undecided** against {reference}, it may be luck: {figures}."

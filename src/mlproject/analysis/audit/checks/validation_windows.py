"""The checks of what skill is measured on: the windows of the prior, and their base rate."""

import math
from collections.abc import Iterator

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.tracking.names import IMPLIED_IDENTITY, Metric
from mlproject.tracking.tracked_studies import TrackedTrial

SKILL_OF_OTHER_WINDOWS = FindingKind(
    title="skill of other windows",
    advice="quote no skill of these trials; a study under another experiment name has it right",
    is_advice=True,
)
BASE_RATES_DIFFER = FindingKind(
    title="base rates differ",
    advice="so much skill tells no day from another: hold the study against its baselines",
    is_advice=True,
)

_WORTH_TELLING = 0.005
"""Skill: of a loss of 0.57 it is 0.0028 nats, as much as another seed makes."""
_CERTAIN = 0.02
"""Nearer to one half, measured in log odds, the loss of a training base rate tells nothing of the
base rate it is measured on."""
_SAME = 1e-5


def skill_of_other_windows(study: AnalysedStudy) -> Iterator[Finding]:
    """Find trials whose prior was scored on all validation windows and whose loss was not.

    With `max_steps`, this program once validated on the first windows alone and took the prior of
    all. Studies that began then go on with the first windows, and since with the prior of these.
    """
    max_steps, batch_size = study.whole("max_steps"), study.whole("batch_size")
    windows = study.whole("validation_windows")
    began = IMPLIED_IDENTITY["validation"]
    if not max_steps or not batch_size or not windows or windows <= max_steps * batch_size:
        return
    if study.tracked.params.get("validation", began) != began:
        return
    scored = [t for t in _scored(study) if Metric.SKILL in t.trial.metrics]
    # Who asks today for the earliest windows has a prior of these, and so fewer `windows`: the
    # first trials of a study that comes so far are of then.
    of_then = [t for t in scored if _same_prior(t, scored[0])]
    if of_then:
        text = (
            f"in {len(of_then)} trials prior_loss is that of {windows:,} validation windows and "
            f"best_val_loss that of the first {max_steps * batch_size:,} (max_steps "
            f"{max_steps}): their skill means nothing"
        )
        yield Finding(kind=SKILL_OF_OTHER_WINDOWS, text=text, runs=run_refs(of_then))


def base_rates_differ(study: AnalysedStudy) -> Iterator[Finding]:
    """Find that knowing the base rate of the validation span, and nothing else, has skill."""
    scored = _scored(study)
    train_rate = study.fraction("train_base_rate")
    # Trials whose priors differ, or are of other windows than their losses, have no one base rate.
    one_span = all(_same_prior(t, scored[0]) for t in scored) and not any(
        skill_of_other_windows(study)
    )
    if train_rate is None or not scored or not one_span:
        return
    loss = _prior_loss(scored[0])
    rate = _validated_rate(loss, train_rate)
    if rate is None:
        return
    skill = 1 - _entropy(rate) / loss
    if skill >= _WORTH_TELLING:
        text = (
            f"{train_rate:.1%} of the training labels are 1 and {rate:.1%} of the validation "
            f"labels: who knows this and nothing else has a skill of {skill:.1%}"
        )
        yield Finding(kind=BASE_RATES_DIFFER, text=text)


def _scored(study: AnalysedStudy) -> list[TrackedTrial]:
    """The trials of this program that have a prior, in their order."""
    return [
        trial
        for trial in study.finished
        if Metric.PRIOR_LOSS in trial.trial.metrics and not trial.trial.is_recovered
    ]


def _prior_loss(trial: TrackedTrial) -> float:
    return trial.trial.metrics[Metric.PRIOR_LOSS]


def _same_prior(one: TrackedTrial, other: TrackedTrial) -> bool:
    """Whether both priors are of the same windows; devices differ in their last digits."""
    return math.isclose(_prior_loss(one), _prior_loss(other), rel_tol=_SAME)


def _validated_rate(prior_loss: float, train_rate: float) -> float | None:
    """The base rate q on which predicting p has this loss, -q log p - (1 - q) log (1 - p)."""
    log_odds = math.log(train_rate / (1 - train_rate))
    if abs(log_odds) < _CERTAIN:
        return None
    rate = -(prior_loss + math.log1p(-train_rate)) / log_odds
    return rate if 0 < rate < 1 else None


def _entropy(rate: float) -> float:
    return -rate * math.log(rate) - (1 - rate) * math.log1p(-rate)

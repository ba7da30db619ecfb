"""Two sources that tell of the same trial: how that is seen, and what is kept of each."""

from dataclasses import replace

from mlproject.tracking.names import Metric, Param
from mlproject.training.epoch_metrics import EpochMetrics
from recovery.records import TrialRecord


def merge(first: TrialRecord, second: TrialRecord) -> TrialRecord:
    """One record of what two sources say of the same trial; what they contradict is a problem."""
    main, other = sorted((first, second), key=_knowledge, reverse=True)
    problems = list(main.problems)
    if _has_other_end(main, other):
        problems.append(f"{other.source} tells of another end than {main.source}")
    problems += [
        f"{param} is {main.params[param]} in {main.source} and {value} in {other.source}"
        for param, value in other.params.items()
        if main.printed_learning_rate is None or other.printed_learning_rate is None
        if main.params.get(param, value) != value
    ]
    return replace(
        main,
        params={**other.params, **main.params},
        metrics={**other.metrics, **main.metrics},
        epochs=max(main.epochs, other.epochs, key=_known_losses),
        sampled_dropout=(
            main.sampled_dropout if Param.DROPOUT in main.params else other.sampled_dropout
        ),
        problems=tuple(problems),
        outcome_fingerprint=main.outcome_fingerprint or other.outcome_fingerprint,
        sampled=main.sampled or other.sampled,
        start_fingerprint=main.start_fingerprint or other.start_fingerprint,
    )


def _has_other_end(main: TrialRecord, other: TrialRecord) -> bool:
    if other.unfinished or main.unfinished:
        return False
    if main.state is not other.state:
        return True
    outcomes = {main.outcome_fingerprint, other.outcome_fingerprint} - {None}
    return len(outcomes) > 1 and result_of(main) != result_of(other)


def result_of(record: TrialRecord) -> str | None:
    """By value and learning rate, to the last digit, no two trials of a study are alike.

    What else a source tells of a trial depends on the source: the summary of a resumed study has
    an `arch_idx` where the log has none.
    """
    value = record.metrics.get(Metric.BEST_VAL_LOSS)
    rate = record.params.get(Param.LEARNING_RATE)
    if value is None or rate is None:
        return None
    return f"{record.study_name} {record.trial_number} {value!r} {rate!r}"


def _known_losses(epochs: tuple[EpochMetrics, ...]) -> int:
    return len(epochs) + sum(losses.train_loss is not None for losses in epochs)


def may_be_one(first: TrialRecord, second: TrialRecord) -> bool:
    """A study repeated with the same seed has the same outcomes, but other starts."""
    starts = (first.start_fingerprint, second.start_fingerprint)
    return None in starts or starts[0] == starts[1]


def _knowledge(record: TrialRecord) -> tuple[bool, ...]:
    """The better source first: whole, finished, with the trial's own lines."""
    return (not record.problems, not record.unfinished, record.start_fingerprint is not None)

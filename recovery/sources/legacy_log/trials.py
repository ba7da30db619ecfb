"""From the lines of one trial of the old program to its record."""

from dataclasses import dataclass, field
from datetime import tzinfo

from mlproject.tracking.names import (
    HYPERPARAMETER_PARAMS,
    WHOLE_PARAMS,
    Metric,
    Origin,
    Param,
    Tag,
    TrialState,
)
from mlproject.training.settings import HYPERPARAMETERS
from recovery.records import LaunchId, TimesFrom, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.literals import Value
from recovery.sources.legacy_log.trial_lines import Outcome, StartLine
from recovery.sources.lines import milliseconds
from recovery.tags import RecoveryTag, sampled_param

DIVERGED_VALUE = 100.0
"""What the old program gave Optuna when the loss was not finite."""

DIED = "the log ends before the trial does: its process died (killed, out of memory or power lost)"

SAMPLED = {str(param): param for param in (Param.ARCH_IDX, *HYPERPARAMETER_PARAMS)}
"""What the old program's sampler chose, by its name on the line of a trial's end."""
_PRINTED_DECIMALS = {
    Param(row.name): row.legacy_decimals
    for row in HYPERPARAMETERS
    if row.legacy_decimals is not None
}


@dataclass(kw_only=True)
class LegacyTrial:
    """The lines of one trial, as far as they have been read."""

    number: int
    first_line: int
    last_line: int
    lines: int = 0
    start: StartLine | None = None
    start_key: bytes | None = None
    """Time and text of the trial's line."""
    start_body: bytes = b""
    start_stamp: bytes | None = None
    forced_dropout: tuple[float, float] | None = None
    """Used and sampled, rounded as printed."""
    is_dropout_doubtful: bool = False
    """Whether another dropout than the sampled one was used, by a line that cannot be read."""
    outcome: Outcome | None = None
    outcome_stamp: bytes | None = None
    stamp_before: bytes | None = None
    """The last time stamp before the trial's first line."""
    problems: list[str] = field(default_factory=list)
    disagreements: list[Param] = field(default_factory=list)
    """Params that the trial's line and its finish line have different values of."""

    @property
    def is_of_two(self) -> bool:
        """Whether its lines are those of two trials, and not merely one of them damaged."""
        return Param.ARCH_IDX in self.disagreements or len(self.disagreements) > 1


def build_record(
    trial: LegacyTrial,
    *,
    study_name: str,
    logged_study_name: str,
    launch: LaunchId,
    source: str,
    zone: tzinfo,
    last_stamp: bytes | None,
    death: str = DIED,
) -> TrialRecord:
    """The record of a trial that ended, or that nothing more will be heard of."""
    outcome = trial.outcome
    problems = list(trial.problems)
    chosen = (outcome.params if outcome else None) or {}
    sampled = dict(chosen)
    params: dict[Param, int | float | str] = {}
    tags = {Tag.STUDY_NAME.value: study_name, Tag.ORIGIN.value: Origin.LOG.value}
    if trial.start is not None:
        params |= trial.start.params
        if trial.start.micro_batch:
            tags[RecoveryTag.MICRO_BATCH] = trial.start.micro_batch
        if sampled and "arch_idx" not in sampled:
            tags[RecoveryTag.FORCED] = "true"
    sampled_dropout = _add_sampled(params, sampled, trial, problems, tags)
    rounded = [
        p
        for p in _PRINTED_DECIMALS
        if p in params and p not in sampled and not (p is Param.DROPOUT and trial.forced_dropout)
    ]
    if rounded:
        tags[RecoveryTag.ROUNDED] = " ".join(f"{p}={params[p]}" for p in rounded)
    if outcome is None:
        # A longer log may still bring every digit, and MLflow never changes a param.
        params = {p: value for p, value in params.items() if p not in rounded}
    metrics: dict[Metric, float] = {}
    if outcome is not None and outcome.value is not None:
        metrics[Metric.BEST_VAL_LOSS] = float(outcome.value)
        if metrics[Metric.BEST_VAL_LOSS] == DIVERGED_VALUE:
            tags[Tag.DIVERGED] = "true"
    started, ended, times_from = _times(trial, zone, last_stamp)
    state = outcome.state if outcome else TrialState.FAIL
    reason = outcome.reason if outcome else death
    start_stamp = trial.start_stamp.decode("ascii") if trial.start_stamp else None
    return TrialRecord(
        study_name=study_name,
        logged_study_name=logged_study_name,
        launch=launch,
        trial_number=trial.number,
        state=state,
        unfinished=outcome is None,
        failure_reason=(reason or "the log gives no reason") if state is TrialState.FAIL else None,
        source=source,
        first_line=trial.first_line,
        last_line=trial.last_line,
        started_ms=started,
        ended_ms=ended,
        times_from=times_from,
        params=params,
        metrics=metrics,
        tags=tags,
        printed_learning_rate=trial.start.printed_learning_rate if trial.start else None,
        sampled_dropout=sampled_dropout,
        problems=tuple(dict.fromkeys(problems)),
        start_fingerprint=(
            fingerprints.of_start(study_name, trial.number, start_stamp, trial.start_body.decode())
            if trial.start
            else None
        ),
        outcome_fingerprint=(
            fingerprints.of_outcome(study_name, trial.number, outcome.value, chosen)
            if outcome and (chosen or trial.start is None)
            else None
        ),
        sampled=chosen,
    )


def _add_sampled(
    params: dict[Param, int | float | str],
    sampled: dict[str, Value],
    trial: LegacyTrial,
    problems: list[str],
    tags: dict[str, str],
) -> float | None:
    """Add what the sampler chose to what the trial's line says; return a dropout not used.

    The finish line has every digit, the trial's line has what was used. A parameter without a name
    of ours becomes a tag.
    """
    unused_dropout = None
    forced = trial.forced_dropout
    if (trial.start is None or trial.is_dropout_doubtful) and Param.DROPOUT in sampled:
        # Which dropout was used, only the trial's own lines tell.
        dropout = sampled.pop(Param.DROPOUT)
        unused_dropout = dropout if isinstance(dropout, float) else None
        params.pop(Param.DROPOUT, None)
    for name, value in sampled.items():
        param = SAMPLED.get(name)
        if param is None or value is None or isinstance(value, bool):
            tags[sampled_param(name)] = str(value)
            continue
        if isinstance(value, str) or (param in WHOLE_PARAMS) != isinstance(value, int):
            problems.append(f"{param} is {value} on its finish line")
            continue
        printed = params.get(param)
        if printed is None:
            params[param] = value
        elif param is Param.DROPOUT and forced:
            unused_dropout = float(value)
            if f"{unused_dropout:.2f}" != f"{forced[1]:.2f}":
                problems.append(_disagreement(param, forced[1], value))
        elif _agrees(param, printed, value):
            params[param] = value
        else:
            problems.append(_disagreement(param, printed, value))
            trial.disagreements.append(param)
    if forced and params.get(Param.DROPOUT) != forced[0]:
        problems.append("the line of the forced dropout names another dropout than the trial's")
    return unused_dropout if unused_dropout is not None or not forced else forced[1]


def _agrees(param: Param, printed: int | float | str, value: int | float | str) -> bool:
    decimals = _PRINTED_DECIMALS.get(param)
    if decimals is None or isinstance(printed, str) or isinstance(value, str):
        return printed == value
    return f"{value:.{decimals}f}" == f"{printed:.{decimals}f}"


def _disagreement(param: Param, printed: object, value: object) -> str:
    return f"{param} is {printed} on the trial's line and {value} on its finish line"


def _times(
    trial: LegacyTrial, zone: tzinfo, last_stamp: bytes | None
) -> tuple[int | None, int | None, TimesFrom]:
    """Start and end. A line without a stamp is bounded by its neighbours."""
    start_stamp = trial.start_stamp or trial.stamp_before or trial.outcome_stamp or last_stamp
    end_stamp = trial.outcome_stamp or last_stamp or start_stamp
    exact = trial.start_stamp and (trial.outcome is None or trial.outcome_stamp)
    started = milliseconds(start_stamp, zone) if start_stamp else None
    ended = milliseconds(end_stamp, zone, not_before=started) if end_stamp else None
    return started, ended, TimesFrom.LOG if exact else TimesFrom.NEIGHBOURS

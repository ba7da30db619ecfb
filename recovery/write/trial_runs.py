"""From a resolved trial to the MLflow run it becomes, in the shape of live trials."""

from collections.abc import Sequence

from mlproject.tracking.names import Tag
from mlproject.tracking.trial_run import TrialRun
from recovery.records import TimesFrom, TrialRecord
from recovery.resolve import ResolvedStudy, ResolvedTrial
from recovery.sources import fingerprints
from recovery.tags import RecoveryTag


def trial_run(study: ResolvedStudy, trial: ResolvedTrial, warnings: Sequence[str]) -> TrialRun:
    """The run of a trial that passed validation."""
    record = trial.record
    assert record.started_ms is not None
    tags = {str(name): value for name, value in record.tags.items()}
    tags[RecoveryTag.SOURCE] = record.source
    tags[RecoveryTag.FINGERPRINT] = record.fingerprint
    if record.last_line:
        tags[RecoveryTag.LINES] = f"{record.first_line}-{record.last_line}"
    optional = {
        Tag.FAILURE_REASON: record.failure_reason,
        RecoveryTag.OUTCOME: record.outcome_fingerprint,
        RecoveryTag.N_HEADS_FROM: trial.n_heads_from,
        RecoveryTag.GRID: study.grid or None,
        RecoveryTag.WARNINGS: "; ".join(warnings) or None,
        RecoveryTag.SAMPLED_DROPOUT: record.sampled_dropout,
        RecoveryTag.LOGGED_STUDY_NAME: (
            record.logged_study_name if record.logged_study_name != record.study_name else None
        ),
        RecoveryTag.TIMES_FROM: (
            record.times_from.value if record.times_from is not TimesFrom.LOG else None
        ),
        RecoveryTag.LAUNCH: _launch(study, trial),
    }
    tags |= {str(name): str(value) for name, value in optional.items() if value is not None}
    return TrialRun(
        trial_number=record.trial_number,
        state=record.state,
        started_ms=record.started_ms,
        ended_ms=record.ended_ms,
        params=trial.params,
        metrics=trial.metrics,
        epochs=record.epochs,
        tags=tags,
        known_by=_known_by(record),
        unfinished=record.unfinished,
    )


def _known_by(record: TrialRecord) -> tuple[tuple[str, str], ...]:
    """A log tells a trial from one of a repeated study by its start; other sources cannot."""
    keys = [(RecoveryTag.FINGERPRINT, record.fingerprint)]
    tag = RecoveryTag.FINGERPRINT if record.start_fingerprint else RecoveryTag.OUTCOME
    other = fingerprints.of_other_outcome(record)
    keys += [(tag, each) for each in (record.outcome_fingerprint, other) if each]
    if other and not record.start_fingerprint:
        keys.append((RecoveryTag.FINGERPRINT, other))
    return tuple((tag.value, value) for tag, value in keys)


def _launch(study: ResolvedStudy, trial: ResolvedTrial) -> str | None:
    """Which launch of the study, counted from 1, where its trials come from several."""
    launches = sorted({other.record.launch for other in study.trials})
    return str(launches.index(trial.record.launch) + 1) if len(launches) > 1 else None

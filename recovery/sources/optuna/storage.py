"""The studies of an Optuna storage, whatever program wrote them."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlproject.errors import UserError
from mlproject.text.credentials import check_url, first_line, hide_credentials
from mlproject.text.sqlite_tables import holds_mlflow
from mlproject.text.sqlite_urls import sqlite_file
from mlproject.tracking.names import Metric, Origin, Tag, TrialState
from recovery import study_names
from recovery.records import LaunchId, TrialRecord
from recovery.sources import fingerprints
from recovery.sources.legacy_log.trials import DIED, DIVERGED_VALUE
from recovery.sources.optuna.old_studies import metrics_of, objective_of, params_and_tags
from recovery.sources.optuna.own_studies import is_own_study, own_record, read_identity
from recovery.tags import MAXIMISE, RecoveryTag

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

_NO_REASON = "the storage gives no reason"


class UnreadableStorage(UserError):
    """An Optuna storage that cannot be opened."""


def read_storage(url: str, launch_ids: Iterator[int]) -> Iterator[TrialRecord]:
    """The records of all trials that began, in all studies of the storage.

    Raises:
        UnreadableStorage: nothing that Optuna can read answers at `url`.
        AmbiguousUrl: it holds a password that is not percent-encoded.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    check_url(url, "the storage URL")
    shown = hide_credentials(url)
    file = sqlite_file(url)
    if file is not None and not file.exists():
        # Optuna would make an empty storage there.
        raise UnreadableStorage(f"storage {shown} cannot be read (there is no such file)")
    if file is not None and holds_mlflow(file):
        raise UnreadableStorage(f"storage {shown} cannot be read (it is a store of MLflow's)")
    try:
        names = optuna.get_all_study_names(url)
        named = [name for name in names if study_names.from_logged_name(name) is not None]
        for name in named:
            study = optuna.load_study(study_name=name, storage=url)
            yield from read_study(study, shown.rpartition("/")[2], LaunchId(next(launch_ids)))
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError, OSError) as error:
        raise UnreadableStorage(f"storage {shown} cannot be read ({first_line(error)})") from error
    if len(named) < len(names):
        others = " and ".join(repr(name[:60]) for name in names if name not in named)
        raise UnreadableStorage(f"storage {shown}: {others} cannot name a study")


def read_study(study: "Study", source: str, launch: LaunchId) -> Iterator[TrialRecord]:
    """The records of all trials of one study that began; its name must be able to name one."""
    name = study_names.from_logged_name(study.study_name)
    assert name is not None
    trials = study.get_trials(deepcopy=False)
    attrs = study.user_attrs
    identity = read_identity(attrs, name) if is_own_study(attrs, trials) else None
    objective = objective_of(study, trials)
    for trial in trials:
        if trial.datetime_start is not None:
            record = _record(
                trial, name, study.study_name, source, launch=launch, objective=objective
            )
            yield own_record(record, trial, identity) if identity else record


def _record(
    trial: "FrozenTrial",
    name: str,
    logged: str,
    source: str,
    *,
    launch: LaunchId,
    objective: Metric | str,
) -> TrialRecord:
    assert trial.datetime_start is not None
    started_ms = math.floor(trial.datetime_start.timestamp() * 1000)
    finished = trial.datetime_complete
    ended_ms = math.floor(finished.timestamp() * 1000) if finished else started_ms
    ended_ms = max(started_ms, ended_ms)  # as in live runs, whatever the clock did
    state = TrialState(trial.state.name) if finished else TrialState.FAIL
    attrs = trial.user_attrs
    params, found_tags = params_and_tags(trial)
    metrics = metrics_of(trial, state, objective)
    tags = {Tag.STUDY_NAME.value: name, Tag.ORIGIN.value: Origin.LOG.value, **found_tags}
    value = trial.values[0] if state is TrialState.COMPLETE and trial.values else None
    if value == DIVERGED_VALUE and objective is Metric.BEST_VAL_LOSS:
        tags[Tag.DIVERGED.value] = "true"
    problems: tuple[str, ...] = ()
    if isinstance(objective, str) and not isinstance(objective, Metric):
        problems = (objective,) if value is not None else ()
    elif objective is not Metric.BEST_VAL_LOSS:
        tags[RecoveryTag.OBJECTIVE] = f"{MAXIMISE}{objective}"
    reason = str(attrs.get(Tag.FAILURE_REASON, _NO_REASON if finished else DIED))
    return TrialRecord(
        study_name=name,
        logged_study_name=logged,
        launch=launch,
        trial_number=trial.number,
        state=state,
        unfinished=finished is None,
        failure_reason=reason if state is TrialState.FAIL else None,
        source=source,
        started_ms=started_ms,
        ended_ms=ended_ms,
        params=params,
        metrics=metrics,
        tags=tags,
        problems=problems,
        objective=objective if isinstance(objective, Metric) else Metric.BEST_VAL_LOSS,
        outcome_fingerprint=fingerprints.of_outcome(
            name, trial.number, None if value is None else repr(value), trial.params
        ),
    )

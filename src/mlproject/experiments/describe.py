"""From a trial in Optuna's storage to the MLflow run it stands for."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from mlproject.models.arch_grid import Architecture
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import failure_reason
from mlproject.tracking.names import (
    ATTR_TAGS,
    METRICS_ATTR,
    Metric,
    Origin,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.trial_run import TrialRun, architecture_params
from mlproject.training.epoch_metrics import restore_epochs
from mlproject.training.settings import hyperparameters_of


def running_trial(trial: optuna.Trial, space: SearchSpace) -> TrialRun:
    """The run of a trial that has its params and is about to train."""
    assert trial.datetime_start is not None
    return TrialRun(
        trial_number=trial.number,
        state=TrialState.RUNNING,
        started_ms=_milliseconds(trial.datetime_start),
        params=_params(trial.number, trial.params, space),
        tags=_tags(trial.user_attrs, space),
    )


def ended_trial(trial: FrozenTrial, space: SearchSpace) -> TrialRun:
    """The run of a trial that ended, everything about it included."""
    assert trial.datetime_start is not None and trial.datetime_complete is not None
    tags = _tags(trial.user_attrs, space)
    reason = failure_reason(trial)
    if reason is not None:
        tags[Tag.FAILURE_REASON.value] = reason
    architecture = space.architecture(trial.params)
    started_ms = _milliseconds(trial.datetime_start)
    return TrialRun(
        trial_number=trial.number,
        state=TrialState(trial.state.name),
        started_ms=started_ms,
        # A clock that was set back on the way does not make a trial end before it began.
        ended_ms=max(started_ms, _milliseconds(trial.datetime_complete)),
        params=_params(trial.number, trial.params, space),
        metrics=_sizes(architecture, space)
        | {Metric(k): v for k, v in trial.user_attrs.get(METRICS_ATTR, {}).items()},
        epochs=restore_epochs(trial.user_attrs, trial.intermediate_values),
        tags=tags,
    )


def _params(
    number: int, params: Mapping[str, Any], space: SearchSpace
) -> dict[Param, int | float | str]:
    settings = space.settings
    found: dict[Param, int | float | str] = {
        Param.GRID_VERSION: space.grid.version,
        Param.N_FEATURES: space.grid.num_features,
        Param.SEARCH_SPACE: space.version,
        Param.BUDGET: settings.budget.name,
        Param.HORIZON: settings.horizon_days,
        Param.TASK: settings.task.name,
    }
    architecture = space.architecture(params)
    if architecture is not None:
        found |= architecture_params(architecture)
    training = space.training_settings(number, params)
    if training is not None:
        found |= {
            Param(row.name): getattr(training, row.name)
            for row in hyperparameters_of(space.version)
        }
    return found


def _sizes(architecture: Architecture | None, space: SearchSpace) -> dict[Metric, float]:
    sizes: dict[Metric, float] = {Metric.HORIZON: space.settings.horizon_days}
    if architecture is not None:
        sizes |= {
            Metric.PARAM_COUNT: architecture.param_count,
            Metric.D_MODEL: architecture.d_model,
            Metric.N_LAYERS: architecture.n_layers,
        }
    return sizes


def _tags(user_attrs: Mapping[str, Any], space: SearchSpace) -> dict[str, str]:
    tags = {
        Tag.STUDY_NAME.value: space.settings.study_name,
        Tag.ORIGIN.value: Origin.LIVE.value,
    }
    for tag in ATTR_TAGS:
        if tag in user_attrs:
            tags[tag.value] = str(user_attrs[tag])
    return tags


def _milliseconds(moment: datetime) -> int:
    """Optuna gives local time without a zone."""
    return math.floor(moment.timestamp() * 1000)

"""Pictures of a study: Optuna's own figures, over the architecture instead of its indices.

This module alone of `mlproject.analysis` knows Optuna: its pictures need a study of Optuna's, which
is made here, in memory. The study's own storage is not read.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna import visualization
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from mlproject.tracking.names import (
    SEARCHED_PARAMS,
    WHOLE_PARAMS,
    Metric,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.settings import HYPERPARAMETERS, Between

MOST_SHOWN = 1000
"""Trials that pictures are drawn of: ten thousand take minutes and make a blot."""

_ARCHITECTURE = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)
_CONTINUOUS = {
    Param(row.name): between
    for row in HYPERPARAMETERS
    for between in row.searched.values()
    if isinstance(between, Between)
}
_TARGET = "val loss"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure, not yet drawn."""

    name: str
    draw_interactive: Callable[[], Any]
    """Returns a plotly figure."""
    draw_static: Callable[[], Any]
    """Returns matplotlib axes or an array of them."""


def thinned(runs: Sequence[TrialRun]) -> list[TrialRun]:
    """Not many more than `MOST_SHOWN` trials, in order: all, or every n-th and each record."""
    step = -(-len(runs) // MOST_SHOWN)
    shown, lowest = [], math.inf
    for index, run in enumerate(runs):
        value = _value(run) if run.state is TrialState.COMPLETE else None
        if value is not None and value < lowest:
            lowest = value
            shown.append(run)
        elif index % step == 0:
            shown.append(run)
    return shown


def study_over_architectures(runs: Sequence[TrialRun]) -> optuna.Study:
    """The trials in a study of Optuna's; those that have no loss to show are left out."""
    valued = [(run, value) for run in runs if (value := _value(run)) is not None]
    distributions = {
        name: _distribution(name, values)
        for name in (*_ARCHITECTURE, *SEARCHED_PARAMS)
        if (values := [run.params[name] for run, _ in valued if name in run.params])
    }
    with _quiet():
        study = optuna.create_study(direction="minimize")
    for run, value in valued:
        known = [name for name in distributions if name in run.params]
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState[run.state.name],
                value=value,
                params={name.value: run.params[name] for name in known},
                distributions={name.value: distributions[name] for name in known},
                intermediate_values={each.epoch: each.val_loss for each in run.epochs},
            )
        )
    return study


def study_figures(study: optuna.Study) -> Iterator[Figure]:
    """Optuna's figures of `study_over_architectures`, but those that would be empty."""
    trials = study.get_trials(deepcopy=False)
    static = visualization.matplotlib
    yield Figure(
        name="optimization_history",
        draw_interactive=lambda: visualization.plot_optimization_history(
            study, target_name=_TARGET
        ),
        draw_static=lambda: static.plot_optimization_history(study, target_name=_TARGET),
    )
    known = {name for trial in trials for name in trial.params}
    architecture = [name.value for name in _ARCHITECTURE if name in known or not trials]
    if architecture:
        yield Figure(
            name="parallel_coordinate_architecture",
            draw_interactive=lambda: visualization.plot_parallel_coordinate(
                study, params=architecture, target_name=_TARGET
            ),
            draw_static=lambda: static.plot_parallel_coordinate(
                study, params=architecture, target_name=_TARGET
            ),
        )
    yield Figure(
        name="param_importances",
        draw_interactive=lambda: visualization.plot_param_importances(study, target_name=_TARGET),
        draw_static=lambda: static.plot_param_importances(study, target_name=_TARGET),
    )
    yield Figure(
        name="slice",
        draw_interactive=lambda: visualization.plot_slice(study, target_name=_TARGET),
        draw_static=lambda: static.plot_slice(study, target_name=_TARGET),
    )
    if not trials or any(trial.intermediate_values for trial in trials):
        yield Figure(
            name="intermediate_values",
            draw_interactive=lambda: visualization.plot_intermediate_values(study),
            draw_static=lambda: static.plot_intermediate_values(study),
        )


def _value(run: TrialRun) -> float | None:
    """The loss that a trial is shown with: where it was pruned, that of its last epoch."""
    value = None
    if run.state is TrialState.COMPLETE and Tag.DIVERGED not in run.tags:
        value = run.metrics.get(Metric.BEST_VAL_LOSS)
    elif run.state is TrialState.PRUNED and run.epochs:
        value = run.epochs[-1].val_loss
    return None if value is None or math.isnan(value) else value


def _distribution(name: Param, values: Sequence[Any]) -> BaseDistribution:
    """The range that the trials themselves span."""
    low, high = min(values), max(values)
    if name not in _CONTINUOUS:
        return CategoricalDistribution(sorted(set(values)))
    if name in WHOLE_PARAMS:
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=_CONTINUOUS[name].log and low > 0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep this study of pictures out of the trial log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)

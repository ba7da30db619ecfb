"""Pictures of a study: Optuna's own figures, over the architecture instead of its indices."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna import visualization
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from mlproject.models.arch_grid import LOG2_N_HEADS, SHAPE_INDEX
from mlproject.search.search_space import SearchSpace

ARCHITECTURE = ("d_model", "n_layers", "n_heads", "d_ff")
_TARGET = "val loss"
MOST_SHOWN = 1000
"""Trials that pictures are drawn of: ten thousand take minutes and make a blot."""
_SHOWN_STATES = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure, not yet drawn."""

    name: str
    draw_interactive: Callable[[], Any]
    """Returns a plotly figure."""
    draw_static: Callable[[], Any]
    """Returns matplotlib axes or an array of them."""


def thinned(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Not many more than `MOST_SHOWN` trials, in order: all, or every n-th and each record."""
    step = -(-len(trials) // MOST_SHOWN)
    shown, lowest = [], math.inf
    for place, trial in enumerate(trials):
        value = trial.value if trial.state is TrialState.COMPLETE else None
        if value is not None and value < lowest:
            lowest = value
            shown.append(trial)
        elif place % step == 0:
            shown.append(trial)
    return shown


def study_over_architectures(trials: Sequence[FrozenTrial], space: SearchSpace) -> optuna.Study:
    """The same trials in memory, d_model, n_layers, n_heads and d_ff in place of the indices."""
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(space.grid.values(name)) for name in ARCHITECTURE
    }
    with _quiet():
        study = optuna.create_study(direction="minimize")
    for trial in trials:
        architecture = space.architecture(trial.params)
        if trial.state not in _SHOWN_STATES or architecture is None or trial.value is None:
            continue
        params = {name: getattr(architecture, name) for name in ARCHITECTURE}
        kept = {k: v for k, v in trial.params.items() if k not in (SHAPE_INDEX, LOG2_N_HEADS)}
        study.add_trial(
            optuna.create_trial(
                state=trial.state,
                value=trial.value,
                params=params | kept,
                distributions=distributions | {name: trial.distributions[name] for name in kept},
                intermediate_values=trial.intermediate_values,
            )
        )
    return study


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep this study of pictures out of the trial log."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def study_figures(study: optuna.Study) -> Iterator[Figure]:
    """Optuna's figures of `study_over_architectures`."""
    static = visualization.matplotlib
    yield Figure(
        name="optimization_history",
        draw_interactive=lambda: visualization.plot_optimization_history(
            study, target_name=_TARGET
        ),
        draw_static=lambda: static.plot_optimization_history(study, target_name=_TARGET),
    )
    architecture = list(ARCHITECTURE)
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
    yield Figure(
        name="intermediate_values",
        draw_interactive=lambda: visualization.plot_intermediate_values(study),
        draw_static=lambda: static.plot_intermediate_values(study),
    )

"""What the parent run shows of a study: its settings at the start, tables and pictures at the end.

Nothing here can lose a study: the trials are in Optuna's storage, MLflow and the trial log before
any of this runs, each part stands alone, and one that fails is reported and left out. Where MLflow
does not answer any more, the same command writes the summary later.
"""

import html
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import mlflow
import optuna
import pandas as pd
import torch
from mlflow.data.pandas_dataset import from_pandas
from mlflow.exceptions import MlflowException
from optuna.trial import FrozenTrial, TrialState

from mlproject.data.bars import Bars
from mlproject.data.windows import WindowedData
from mlproject.experiments.describe import ended_trial
from mlproject.experiments.summary.figures import (
    Figure,
    study_figures,
    study_over_architectures,
    thinned,
)
from mlproject.experiments.summary.note import best_run, study_note
from mlproject.models.extremes import distinct_extremes
from mlproject.search.sampler import PRUNERS, SAMPLERS
from mlproject.search.search_space import SearchSpace
from mlproject.text.escaping import for_spreadsheet
from mlproject.tracking.names import (
    NOTE_TAG,
    PLAN_OPTIMISER_PARAM,
    PLAN_PRECISION_PARAM,
    PLANNED_TRIALS_TAG,
    Tag,
)
from mlproject.tracking.store import TrackingStore, is_refusal
from mlproject.tracking.study_run import (
    log_study_dataset,
    log_study_params,
    log_study_values,
)
from mlproject.tracking.tracked_studies import recovered_trials
from mlproject.tracking.trial_run import TrialRun

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)

mpl.use("agg")  # pictures are files: no window, whatever the desktop

_logger = logging.getLogger(__name__)


def describe_study(
    store: TrackingStore,
    run_id: str,
    space: SearchSpace,
    *,
    bars: Bars,
    data: WindowedData,
    identity: Mapping[str, str | int],
) -> None:
    """Log what is known before the first trial: settings, search space, data, versions."""
    settings = space.settings
    extremes = distinct_extremes(space.grid)
    log_study_params(
        store,
        run_id,
        {
            **identity,
            "source_shape": bars.source_shape,
            PLAN_OPTIMISER_PARAM: identity["optimiser"],
            PLAN_PRECISION_PARAM: identity["precision"],
            "n_trials": settings.n_trials,
            "n_architectures": len(space.grid.architectures),
            "forced_extremes": " ".join(extremes),
            "train_windows": len(data.train),
            "validation_windows": len(data.validation),
            "test_windows": len(data.test),
            "train_base_rate": data.base_rate,
            "sampler": SAMPLERS[space.version],
            "pruner": PRUNERS[space.version],
            **{f"search.{name}": text for name, text in space.describe().items()},
            **{f"version.{m.__name__}": m.__version__ for m in (torch, optuna, mlflow)},
        },
    )
    log_study_values(store, run_id, metrics={}, tags={PLANNED_TRIALS_TAG: str(settings.n_trials)})
    dataset = from_pandas(bars.frame, name=bars.name, digest=bars.digest)
    log_study_dataset(store, run_id, dataset.to_dict() | {"source": bars.source})


def summarise_study(
    store: TrackingStore,
    run_id: str,
    space: SearchSpace,
    trials: Sequence[FrozenTrial],
    trial_log: Path,
) -> None:
    """Log the best trial, the table of trials, the pictures, the trial log and a note.

    Raises:
        MlflowException: MLflow does not answer; what is left would wait for it part by part.
    """
    runs = _all_runs(store, run_id, space, trials)
    parts: dict[str, Callable[[], None]] = {
        "best trial": lambda: _log_best(store, run_id, space, runs),
        "table of trials": lambda: _log_table(store, run_id, runs),
        "trial log": lambda: store.client.log_artifact(run_id, str(trial_log)),
    }
    shown = thinned(trials)
    figures = list(study_figures(study_over_architectures(shown, space)))
    remark = (
        f"Drawn are {len(shown):,} of {len(trials):,} trials: some of each part of the study, and "
        "each that was the best so far."
        if len(shown) < len(trials)
        else ""
    )
    parts["page of figures"] = lambda: _log_interactive(store, run_id, space, figures, remark)
    for figure in figures:
        parts[f"figure {figure.name}"] = partial(_log_static, store, run_id, figure)
    for name, log_part in parts.items():
        try:
            log_part()
        except Exception as error:
            if isinstance(error, MlflowException) and not is_refusal(error):
                raise
            _logger.warning("the %s is left out of the summary: %s", name, error)
            _logger.debug("why", exc_info=True)


def best_trial(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The complete trial with the lowest validation loss; None before there is one."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return min(complete, key=lambda trial: trial.values[0], default=None)


def _all_runs(
    store: TrackingStore, run_id: str, space: SearchSpace, trials: Sequence[FrozenTrial]
) -> list[TrialRun]:
    """The trials of Optuna's storage, and before them those that a log alone tells of."""
    live = [
        ended_trial(trial, space)
        for trial in trials
        if trial.state in _ENDED and trial.datetime_start is not None
    ]
    return [*recovered_trials(store, run_id), *live]


def _log_best(store: TrackingStore, run_id: str, space: SearchSpace, runs: list[TrialRun]) -> None:
    best = best_run(runs)
    log_study_values(
        store,
        run_id,
        metrics={str(name): value for name, value in best.metrics.items()} if best else {},
        tags={NOTE_TAG: study_note(space.settings, runs)},
    )


def trial_table(runs: Sequence[TrialRun]) -> pd.DataFrame:
    """One row per trial: number, state, params, metrics and tags, by their usual names."""
    rows = []
    for run in runs:
        tags = {
            key: value
            for key, value in run.tags.items()
            if key != Tag.STUDY_NAME and not key.startswith("mlflow.")
        }
        head = {Tag.TRIAL_NUMBER.value: run.trial_number, Tag.TRIAL_STATE.value: str(run.state)}
        metrics = {str(name): value for name, value in run.metrics.items()}
        params = {str(name): value for name, value in run.params.items()}
        rows.append(head | metrics | params | tags)
    return pd.DataFrame(rows)


def _log_table(store: TrackingStore, run_id: str, runs: list[TrialRun]) -> None:
    table = for_spreadsheet(trial_table(runs))
    store.client.log_text(run_id, table.to_csv(index=False), "trials.csv")


def _log_interactive(
    store: TrackingStore, run_id: str, space: SearchSpace, figures: Sequence[Figure], remark: str
) -> None:
    """All figures on one page, so that plotly's 5 MB of script are there once."""
    drawn = []
    for figure in figures:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # few trials: said in the picture itself
                drawn.append(figure.draw_interactive())
        except (ValueError, RuntimeError) as error:  # too few trials for this one
            _logger.warning("%s is left out of the page of figures: %s", figure.name, error)
    parts = [
        picture.to_html(full_html=False, include_plotlyjs=place == 0)
        for place, picture in enumerate(drawn)
    ]
    title = html.escape(space.settings.study_name)
    head = f"<!doctype html><meta charset='utf-8'><title>{title}</title>"
    page = f"{head}{remark and f'<p>{remark}</p>'}{''.join(parts)}"
    store.client.log_text(run_id, page, "figures.html")


def _log_static(store: TrackingStore, run_id: str, figure: Figure) -> None:
    with warnings.catch_warnings(), mpl.rc_context({"figure.figsize": (11, 6)}):
        warnings.simplefilter("ignore")  # Optuna's pictures are experimental, matplotlib chatty
        axes = figure.draw_static()
        picture = (axes.flat[0] if hasattr(axes, "flat") else axes).figure
        store.client.log_figure(run_id, picture, f"figures/{figure.name}.png")
    plt.close(picture)

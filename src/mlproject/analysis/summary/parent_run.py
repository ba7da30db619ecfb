"""The summary of a study, logged to its parent run: best trial, note, table and pictures.

Nothing here can lose a study: its trials are in MLflow before any of this runs, each part stands
alone, and one that fails is reported and left out. Where MLflow does not answer any more, the same
command writes the summary later.
"""

import html
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd

from mlproject.analysis.claims.verdicts import StudyClaims
from mlproject.analysis.summary.claims import claims_as_logged
from mlproject.analysis.summary.figures import (
    Figure,
    study_figures,
    study_over_architectures,
    thinned,
)
from mlproject.analysis.summary.recommendation import (
    recommendation_as_logged,
    table_of_architectures,
)
from mlproject.analysis.summary.table import table_of_trials
from mlproject.tracking.description import description_tags
from mlproject.tracking.errors import MlflowError, is_refusal
from mlproject.tracking.names import ARCHITECTURES_FILE, Metric
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import log_study_values
from mlproject.tracking.trial_run import TrialRun, best_run

if TYPE_CHECKING:
    from mlproject.search.recommendation import ArchitectureEstimate  # it imports torch

mpl.use("agg")  # pictures are files: no window, whatever the desktop

_logger = logging.getLogger(__name__)


def summarise_study(
    store: TrackingStore,
    run_id: str,
    study_name: str,
    runs: Sequence[TrialRun],
    *,
    note: Callable[[Sequence[TrialRun], StudyClaims | None, Sequence["ArchitectureEstimate"]], str],
    claims: Callable[[], StudyClaims] | None = None,
    ranking: Callable[[], Sequence["ArchitectureEstimate"]] | None = None,
    trial_log: Path | None = None,
    tables: Mapping[str, Callable[[], pd.DataFrame]] = MappingProxyType({}),
) -> None:
    """Log the best trial, a note, what may be claimed, the recommended architecture, the table of
    trials, the trial log and the pictures.

    `tables` are further ones, by the names of their files.

    Raises:
        MlflowError: MLflow does not answer; what is left would wait for it part by part.
    """
    found = None
    if claims is not None:
        with _part("verdicts"):
            found = claims()
            metrics, tags = claims_as_logged(found)
            log_study_values(store, run_id, metrics=metrics, tags=tags)
    ranked: Sequence[ArchitectureEstimate] = ()
    if ranking is not None:
        with _part("recommendation"):
            ranked = ranking()
            metrics, tags = recommendation_as_logged(ranked)
            log_study_values(store, run_id, metrics=metrics, tags=tags)
            table_text = table_of_architectures(ranked).to_csv(index=False)
            store.client.log_text(run_id, table_text, ARCHITECTURES_FILE)
    with _part("best trial"):
        _log_best(store, run_id, runs, note(runs, found, ranked))
    with _part("table of trials"):
        _log_table(store, run_id, runs)
    if trial_log is not None:
        with _part("trial log"):
            store.client.log_artifact(run_id, str(trial_log))
    for name, table in tables.items():
        with _part(name):
            store.client.log_text(run_id, table().to_csv(index=False), name)
    with _part("pictures"):
        _log_pictures(store, run_id, study_name, runs)


@contextmanager
def _part(name: str) -> Iterator[None]:
    """A part of the summary, left out with a warning if it fails."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MlflowError) and not is_refusal(error):
            raise
        _logger.warning("the %s is left out of the summary: %s", name, error)
        _logger.debug("why", exc_info=True)


def _log_best(
    store: TrackingStore,
    run_id: str,
    runs: Sequence[TrialRun],
    note: str,
) -> None:
    best = best_run(runs)
    log_study_values(
        store,
        run_id,
        metrics={
            str(name): value
            for name, value in (best.metrics if best else {}).items()
            # On the parent it is that of the whole study, see `ClaimMetric`.
            if name is not Metric.SKILL_ADJUSTED
        },
        tags=description_tags(store, run_id, note),
    )


def _log_table(store: TrackingStore, run_id: str, runs: Sequence[TrialRun]) -> None:
    store.client.log_text(run_id, table_of_trials(runs), "trials.csv")


def _log_pictures(
    store: TrackingStore, run_id: str, study_name: str, runs: Sequence[TrialRun]
) -> None:
    # Recovered trials stand in the pictures of a study only where it has no others.
    drawn = [run for run in runs if not run.is_recovered] or runs
    shown = thinned(drawn)
    figures = list(study_figures(study_over_architectures(shown)))
    remark = (
        f"Drawn are {len(shown):,} of {len(drawn):,} trials: some of each part of the study, and "
        "each that was the best so far."
        if len(shown) < len(drawn)
        else ""
    )
    with _part("page of figures"):
        _log_interactive(store, run_id, study_name, figures, remark)
    for figure in figures:
        with _part(f"figure {figure.name}"):
            _log_static(store, run_id, figure)


def _log_interactive(
    store: TrackingStore, run_id: str, study_name: str, figures: Sequence[Figure], remark: str
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
        picture.to_html(full_html=False, include_plotlyjs=index == 0)
        for index, picture in enumerate(drawn)
    ]
    title = html.escape(study_name)
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

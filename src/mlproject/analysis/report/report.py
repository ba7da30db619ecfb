"""A report from the experiment in MLflow to the run that keeps it there."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlproject.analysis.report import summary, write_report
from mlproject.analysis.report.best import best_architectures
from mlproject.analysis.report.trials import report_trials
from mlproject.text.written_files import copy_folder
from mlproject.tracking.analysis_run import log_folder, open_analysis_run
from mlproject.tracking.store import connect_to_read
from mlproject.tracking.tracked_studies import read_studies, with_architectures


@dataclass(frozen=True, kw_only=True)
class ReportOutcome:
    """What a report is about, and where it is kept."""

    summary: str
    """One line: how many studies and trials, and what is left out."""
    trials: pd.DataFrame
    """One row per complete trial of known architecture."""
    best: pd.DataFrame
    """One row per study: the architecture that it recommends, and the luckiest trial beside it."""
    run_id: str
    """The run in MLflow that keeps the page, the tables and the pictures."""


def report(
    experiment: str | None = None,
    *,
    output_dir: str | Path | None = None,
    tracking_uri: str | None = None,
) -> ReportOutcome:
    """Compare the architectures of all studies of an experiment.

    >>> from mlproject import report
    >>> outcome = report("phase6a")
    >>> print(outcome.summary)
    phase6a: 1 studies, 2 trials
    >>> outcome.best[["budget", "n_layers", "n_heads"]].shape
    (1, 3)

    Args:
        experiment: the MLflow experiment; see `default_experiment` for None.
        output_dir: a folder to write the report into as well.
        tracking_uri: MLflow's store; by default that of MLFLOW_TRACKING_URI, else ``mlflow.db`` in
            the working directory.

    Raises:
        UserError: one of its kinds: there is no such experiment, no complete trial in it, MLflow
            does not answer, or the folder cannot be written to.
    """
    store = connect_to_read(experiment, tracking_uri)
    trials = report_trials(with_architectures(store, read_studies(store)))
    with tempfile.TemporaryDirectory() as folder:
        write_report(trials, Path(folder))
        if output_dir:
            copy_folder(Path(folder), Path(output_dir))
        run_id = open_analysis_run(store, "report")
        log_folder(store, run_id, folder, note=summary(trials))
    return ReportOutcome(
        summary=summary(trials),
        trials=trials.frame,
        best=best_architectures(trials.frame, trials.recommended),
        run_id=run_id,
    )

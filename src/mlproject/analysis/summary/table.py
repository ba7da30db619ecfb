"""The table of a study: a row per trial, by the usual names."""

from collections.abc import Sequence

import pandas as pd

from mlproject.text.escaping import for_spreadsheet
from mlproject.tracking.names import Tag
from mlproject.tracking.trial_run import TrialRun


def table_of_trials(runs: Sequence[TrialRun]) -> str:
    """Number, state, metrics, params and tags of each trial, as CSV."""
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
    return str(for_spreadsheet(pd.DataFrame(rows)).to_csv(index=False))

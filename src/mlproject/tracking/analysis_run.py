"""The run of an analysis: it holds the results of a command that looks at an experiment.

An analysis describes many studies at one moment, so its results hang on a run of its own: no
study's run is changed by being looked at, and earlier analyses stay.
"""

from collections.abc import Mapping

from mlflow.entities import RunTag
from mlflow.tracking.context.registry import resolve_tags

from mlproject.tracking.artifacts import log_files, log_text
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.names import ANALYSIS_TAG, NOTE_TAG
from mlproject.tracking.store import TrackingStore


def open_analysis_run(store: TrackingStore, analysis: str, of: str | None = None) -> str:
    """Open the run that is to hold the results of `analysis`, such as ``audit``; return its id.

    It is the run that `mlflow run` made for this process, if it did; else a new one in the
    experiment. Its name says what the analysis is of: `of`, by default the experiment.
    """
    client, launched = store.client, store.launch_run_id
    name, tags = f"{analysis} of {of or store.experiment_name}", {ANALYSIS_TAG: analysis}
    with tracking_errors(store.uri):
        if launched is None:
            created = client.create_run(store.experiment_id, run_name=name, tags=resolve_tags(tags))
            return str(created.info.run_id)
        client.log_batch(launched, tags=[RunTag(key, value) for key, value in tags.items()])
        client.update_run(launched, name=name)
        return launched


def log_texts(store: TrackingStore, run_id: str, *, texts: Mapping[str, str], note: str) -> None:
    """Log texts as artifacts and the note as description of the run, then end it.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        for name, text in texts.items():
            log_text(store, run_id, text, name)
        _end(store, run_id, note)


def log_folder(store: TrackingStore, run_id: str, folder: str, *, note: str) -> None:
    """Log the files of a folder as artifacts and the note as description of the run, then end it.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        log_files(store, run_id, folder)
        _end(store, run_id, note)


def _end(store: TrackingStore, run_id: str, note: str) -> None:
    store.client.set_tag(run_id, NOTE_TAG, note)
    store.client.set_terminated(run_id)


def log_launch(store: TrackingStore, analysis: str, *, texts: Mapping[str, str]) -> None:
    """Log texts with the run that `mlflow run` made for this process, if it did."""
    if store.launch_run_id is not None:
        log_texts(store, open_analysis_run(store, analysis), texts=texts, note=analysis)

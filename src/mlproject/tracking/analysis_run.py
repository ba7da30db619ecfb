"""Looking at an experiment from outside: the experiment, and the run that keeps what was seen.

An analysis describes many studies at one moment, so its results hang on a run of its own: no
study's run is changed by being looked at, and earlier analyses stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.entities import RunTag
from mlflow.tracking.context.registry import resolve_tags

from mlproject.errors import UserError
from mlproject.text.credentials import hide_credentials
from mlproject.tracking.names import ANALYSIS_TAG, NOTE_TAG
from mlproject.tracking.store import (
    Connection,
    TrackingStore,
    connect,
    tracking_errors,
)


class NoSuchExperiment(UserError):
    """The experiment to look at does not exist, or is deleted."""


@dataclass(frozen=True, kw_only=True)
class ExperimentView:
    """An experiment that exists, to be read."""

    connection: Connection
    name: str
    store: TrackingStore


def view_experiment(name: str | None) -> ExperimentView:
    """The experiment called `name`; without a name that of `mlflow run`, or the default one.

    Unlike a study, an analysis may look at another experiment than the one of the run that
    `mlflow run` made for it.

    Raises:
        NoSuchExperiment: there is none of this name.
        TrackingUnreachable: the store does not answer.
    """
    connection = connect(name, may_differ=True)
    return view_of(connection, connection.experiment_name)


def view_launch() -> ExperimentView:
    """The experiment of the run that `mlflow run` made for this process."""
    connection = connect(None)
    return view_of(connection, connection.experiment_name)


def view_of(connection: Connection, name: str) -> ExperimentView:
    """The experiment called `name` in the store of a connection.

    Raises:
        NoSuchExperiment: there is none of this name.
        TrackingUnreachable: the store does not answer.
    """
    with tracking_errors(connection.uri):
        found = connection.client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage != "active":
            there = sorted(e.name for e in connection.client.search_experiments(max_results=50))
            raise NoSuchExperiment(
                f"no experiment {name!r} in {hide_credentials(connection.uri)}: there are "
                f"{', '.join(there)}; "
                "name one of them, or set MLFLOW_TRACKING_URI to another store"
            )
    store = TrackingStore(
        client=connection.client,
        experiment_id=found.experiment_id,
        launch_run_id=connection.launch_run_id,
    )
    return ExperimentView(connection=connection, name=name, store=store)


def open_analysis_run(view: ExperimentView, analysis: str, of: str | None = None) -> str:
    """The id of the run that is to hold the results of `analysis`, such as ``audit``.

    Its name says what the analysis is of: `of`, by default the experiment.

    The run that `mlflow run` made for this process, if it did; else a new one in the experiment.
    """
    client, launched = view.store.client, view.store.launch_run_id
    name, tags = f"{analysis} of {of or view.name}", {ANALYSIS_TAG: analysis}
    with tracking_errors(view.connection.uri):
        if launched is None:
            created = client.create_run(
                view.store.experiment_id, run_name=name, tags=resolve_tags(tags)
            )
            return str(created.info.run_id)
        client.log_batch(launched, tags=[RunTag(key, value) for key, value in tags.items()])
        client.update_run(launched, name=name)
        return launched


def keep_texts(view: ExperimentView, run_id: str, *, texts: Mapping[str, str], note: str) -> None:
    """Keep texts as artifacts and the note as description of the run, then end it.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(view.connection.uri):
        for name, text in texts.items():
            view.store.client.log_text(run_id, text, name)
        _end(view, run_id, note)


def keep_folder(view: ExperimentView, run_id: str, folder: str, *, note: str) -> None:
    """Keep the files of a folder as artifacts and the note as description of the run, then end it.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(view.connection.uri):
        view.store.client.log_artifacts(run_id, folder)
        _end(view, run_id, note)


def _end(view: ExperimentView, run_id: str, note: str) -> None:
    view.store.client.set_tag(run_id, NOTE_TAG, note)
    view.store.client.set_terminated(run_id)


def keep_launch(view: ExperimentView, analysis: str, *, texts: Mapping[str, str]) -> None:
    """Keep texts with the run that `mlflow run` made for this process, if it did."""
    if view.store.launch_run_id is not None:
        keep_texts(view, open_analysis_run(view, analysis), texts=texts, note=analysis)

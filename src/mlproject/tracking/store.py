"""The tracking store: where MLflow keeps its runs, and which experiment is used there."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

from mlproject.errors import UserError
from mlproject.text.advice import of_tracking
from mlproject.text.credentials import check_url, hide_credentials, holds_credentials
from mlproject.text.sqlite_tables import holds_optuna_alone
from mlproject.text.sqlite_urls import is_in_memory, sqlite_file, sqlite_url
from mlproject.tracking.errors import TrackingUnreachable, tracking_errors
from mlproject.tracking.experiment_kind import set_missing_kind
from mlproject.tracking.experiment_names import (
    DEFAULT_EXPERIMENT,
    EXPERIMENT_VARIABLES,
    RUN_VARIABLE,
)
from mlproject.tracking.fresh_store import one_maker
from mlproject.tracking.whose_run import (
    ExperimentConflict,
    experiment_of_launch,
    own_run,
    refuse_relative_store,
)

MLFLOW_VERSION: str = mlflow.__version__

# MLflow retries a dead server for minutes by default; a user at a terminal wants to know sooner.
REQUEST_RETRIES = 2
_REQUEST_TIMEOUT_SECONDS = 30
_SOURCE_TAG = "mlflow.source.name"

_logger = logging.getLogger(__name__)
_chosen: dict[str, str] = {}
"""The environment variables that `connect` has set, which it may set otherwise the next time."""


class NoSuchExperiment(UserError):
    """The experiment to look at does not exist."""


@dataclass(frozen=True, kw_only=True)
class TrackingStore:
    """A tracking store that answered, and the experiment to use there."""

    client: MlflowClient
    uri: str
    experiment_name: str
    found_experiment_id: str | None
    """None while the experiment does not exist: see `open_experiment` and `require_experiment`."""
    launch_run_id: str | None
    """The run that `mlflow run` made for this process, if it did."""
    project_source: str = ""
    """Where `mlflow run` took the project from, as it logged it."""

    @property
    def experiment_id(self) -> str:
        """The id of the experiment, which has to exist."""
        assert self.found_experiment_id is not None, self.experiment_name
        return self.found_experiment_id

    @property
    def directory(self) -> Path:
        """The directory of a SQLite store, else the working directory.

        The study's other files go beside it, so that they lie together wherever
        `mlflow run` was called from.
        """
        file = sqlite_file(self.uri)
        return Path.cwd() if file is None else file.parent


def tracking_uri(uri: str | None = None) -> str:
    """Return the tracking store's URI: MLFLOW_TRACKING_URI, or ``mlflow.db`` in this directory.

    Either way with the whole path of a file, as has a `uri` that is given.
    """
    uri = uri or mlflow.get_tracking_uri()
    file = sqlite_file(uri)
    return uri if file is None else sqlite_url(file.absolute())


def default_experiment() -> str:
    """The experiment of a user who names none: that of the environment (see `whose_run`).

    Raises:
        TrackingUnreachable: the store that knows the experiment does not answer.
        ExperimentConflict: the environment contradicts itself, or names none.
    """
    if not any(map(os.environ.get, EXPERIMENT_VARIABLES)):
        return DEFAULT_EXPERIMENT
    refuse_relative_store(os.environ)
    client = _open(_usable(tracking_uri()))
    with tracking_errors(client.tracking_uri):
        return experiment_of_launch(client, os.environ, own_run(client, os.environ).run)


def connect(
    experiment: str | None,
    uri: str | None = None,
    *,
    may_differ: bool = False,
    study_suffix: str | None = None,
    request_retries: int = REQUEST_RETRIES,
) -> TrackingStore:
    """Connect to a tracking store, by default that of `tracking_uri`.

    Which experiment is used, and which run is the launch's own, is decided in `whose_run`. A study,
    whose name ends in `study_suffix`, has to be in that of `mlflow run`, whose run becomes its
    parent; what only reads, or brings its own parent runs, `may_differ`. Nothing is written, but
    where `mlflow run` logged a repository's URL with a token as a tag, the token is hidden there.

    Requests that fail are repeated `request_retries` times, unless MLFLOW_HTTP_REQUEST_MAX_RETRIES
    says how often. Repeated after a lost answer, the request for a run makes a second one: a study,
    which finds its runs again, does without. These and MLflow's other limits go by the environment
    of the process, where they stay.

    The run that `mlflow run` made is taken out of the environment: whoever connects first has it, a
    second study of the same process gets a run of its own, and so does a child process.

    Raises:
        TrackingUnreachable: the store does not answer or cannot be used.
        AmbiguousUrl: its URL holds a password that is not percent-encoded.
        ExperimentConflict: `experiment` differs from the one of `mlflow run`, or is deleted.
    """
    settings = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(request_retries),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_REQUEST_TIMEOUT_SECONDS),
        # It prints two lines for every run that ends, the password of the server's URL in them.
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # It draws one for every file, however small.
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    for name, value in settings.items():
        if os.environ.get(name) == _chosen.get(name):  # else the user has chosen
            os.environ[name] = _chosen[name] = value
    logging.getLogger("mlflow.store.db.utils").addFilter(_has_no_trace)
    uri = _usable(tracking_uri(uri))
    refuse_relative_store(os.environ)
    client = _open(uri)
    with tracking_errors(uri):
        own = own_run(client, os.environ, study_suffix)
        # A worker that inherited the run id would re-open the parent run as its own.
        os.environ.pop(RUN_VARIABLE, None)
        if own.left_alone:
            _logger.warning(own.left_alone)
        if own.run is not None:
            _redact_tags(client, own.run)
        name = experiment_of_launch(client, os.environ, own.run, experiment, may_differ=may_differ)
        found = client.get_experiment_by_name(name)
        _refuse_deleted(found)
    return TrackingStore(
        client=client,
        uri=uri,
        experiment_name=name,
        found_experiment_id=None if found is None else str(found.experiment_id),
        launch_run_id=None if own.run is None else str(own.run.info.run_id),
        project_source="" if own.run is None else own.run.data.tags.get(_SOURCE_TAG, ""),
    )


def close_launch_run(status: str) -> None:
    """End the run that `mlflow run` made for this process, which has not come to use it.

    Raises:
        UserError: the store does not answer, or is not the one.
    """
    store = connect(None, may_differ=True)
    if store.launch_run_id is not None:
        with tracking_errors(store.uri):
            store.client.set_terminated(store.launch_run_id, status)


def connect_to_read(experiment: str | None, uri: str | None = None) -> TrackingStore:
    """Connect to an experiment that exists, by default `default_experiment`.

    Unlike a study, an analysis may look at another experiment than the one of the run that
    `mlflow run` made for it.

    Raises:
        NoSuchExperiment: there is none of this name.
        ExperimentConflict: it is deleted.
        TrackingUnreachable: the store does not answer.
    """
    return require_experiment(connect(experiment or default_experiment(), uri, may_differ=True))


def _usable(uri: str) -> str:
    """The URI of a store that can be written to."""
    if is_in_memory(uri):
        raise TrackingUnreachable(
            f"tracking store {uri} is in memory and ends with this process: set "
            "MLFLOW_TRACKING_URI to a file such as sqlite:///mlflow.db, or to a server"
        )
    if uri.startswith("file:") or ("://" not in uri and uri != "databricks"):
        raise TrackingUnreachable(
            f"tracking store {uri} is a directory of files, which MLflow no longer writes: move it "
            "with 'mlflow migrate-filestore --source mlruns --target sqlite:///mlflow.db' "
            "or set MLFLOW_TRACKING_URI to a database or a server"
        )
    check_url(uri, "MLFLOW_TRACKING_URI")
    try:
        urlsplit(uri)
    except ValueError as error:
        found = of_tracking(str(error))
        raise TrackingUnreachable(
            f"tracking store {hide_credentials(uri)} {found.is_wrong} ({error}): {found.advice}"
        ) from error
    file = sqlite_file(uri)
    if file is not None and holds_optuna_alone(file):
        raise TrackingUnreachable(
            f"tracking store {uri} is a storage of Optuna's: MLflow needs a database of its own: "
            "set MLFLOW_TRACKING_URI to another file"
        )
    return uri


def _open(uri: str) -> MlflowClient:
    """The client of a store that answers."""
    with tracking_errors(uri), one_maker(uri):
        return MlflowClient(tracking_uri=uri)


def require_experiment(store: TrackingStore) -> TrackingStore:
    """Return the store if its experiment exists.

    Raises:
        NoSuchExperiment: it does not.
        TrackingUnreachable: the store does not answer.
    """
    if store.found_experiment_id is not None:
        return store
    with tracking_errors(store.uri):
        there = sorted(e.name for e in store.client.search_experiments(max_results=50))
    raise NoSuchExperiment(
        f"no experiment {store.experiment_name!r} in {hide_credentials(store.uri)}: there are "
        f"{', '.join(there)}; "
        "name one of them, or set MLFLOW_TRACKING_URI to another store"
    )


def open_experiment(store: TrackingStore) -> TrackingStore:
    """Create the experiment where it is missing, and return the store that knows its id.

    One whose kind nobody has chosen is from now on known to be for models that are trained.
    """
    client, name = store.client, store.experiment_name
    found_id = store.found_experiment_id
    if found_id is None:
        found = client.get_experiment_by_name(name)  # another process may have created it since
        found_id = found.experiment_id if found else client.create_experiment(name)
    set_missing_kind(client, found_id)
    return replace(store, found_experiment_id=found_id)


def _has_no_trace(record: logging.LogRecord) -> bool:
    """Tell whether a log line is worth showing: MLflow raises what it logs with a trace."""
    return not record.exc_info


def _redact_tags(client: MlflowClient, run: Run) -> None:
    """Hide credentials in the tags of a run: `mlflow run` logs the URL of a repository."""
    for name, value in run.data.tags.items():
        if holds_credentials(value):
            client.set_tag(run.info.run_id, name, hide_credentials(value))


def _refuse_deleted(experiment: Experiment | None) -> None:
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise ExperimentConflict(
            f"experiment {experiment.name!r} is deleted: restore it with "
            f"'mlflow experiments restore --experiment-id {experiment.experiment_id}' "
            "or choose another name"
        )

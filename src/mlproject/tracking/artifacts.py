"""Artifacts of a run: written to a store of their own, which fails in its own ways."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlproject.errors import UserError
from mlproject.text.advice import of_artifacts
from mlproject.text.credentials import first_line, hide_credentials
from mlproject.tracking.errors import MlflowError, whole_text
from mlproject.tracking.store import TrackingStore


class ArtifactsUnwritable(UserError):
    """MLflow's store is well, but this process cannot write where it keeps artifacts."""


def log_text(store: TrackingStore, run_id: str, text: str, name: str) -> None:
    """Log a text as an artifact.

    Raises:
        ArtifactsUnwritable: says where artifacts go, and what is wrong there.
        MlflowError: MLflow does not answer.
    """
    with _artifact_errors(store, run_id):
        store.client.log_text(run_id, text, name)


def log_files(store: TrackingStore, run_id: str, folder: str) -> None:
    """Log the files of a folder as artifacts; raises as `log_text`."""
    with _artifact_errors(store, run_id):
        store.client.log_artifacts(run_id, folder)


@contextmanager
def _artifact_errors(store: TrackingStore, run_id: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each cloud's library has errors of its own
        try:
            location = store.client.get_run(run_id).info.artifact_uri
        except MlflowError:
            raise error from None  # it is MLflow that does not answer
        found = of_artifacts(whole_text(error))
        raise ArtifactsUnwritable(
            f"artifacts go to {hide_credentials(location)}, which {found.is_wrong} "
            f"({first_line(error)}): {found.advice}"
        ) from error

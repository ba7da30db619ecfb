"""Artifacts of a run: kept in a store of their own, which fails in its own ways."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlproject.errors import UserError
from mlproject.text.advice import of_artifacts
from mlproject.text.credentials import first_line, hide_credentials
from mlproject.tracking.errors import MlflowError, whole_text
from mlproject.tracking.store import TrackingStore

_logger = logging.getLogger(__name__)


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


def read_text(store: TrackingStore, run_id: str, name: str) -> str | None:
    """Read a text artifact; None, with a warning, where its store does not give it."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return Path(store.client.download_artifacts(run_id, name, folder)).read_text("utf-8")
    except Exception as error:  # each cloud's library has errors of its own
        _logger.warning("%s of run %s cannot be read: %s", name, run_id, first_line(error))
        return None


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

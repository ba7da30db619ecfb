"""Where the files of a study lie: its storage, trial log, checkpoints and lock.

| | they lie |
|---|---|
| storage | at `--storage`, else MLPROJECT_STORAGE, else ``optuna.db`` in the study's folder |
| trial log, checkpoints | in the study's folder |
| lock | beside a storage that is a file, else in the study's folder |

| the study's folder is | where |
|---|---|
| that of MLflow's file | MLflow's store is a SQLite file |
| the working folder | MLflow is a server or another database |
| that of the storage's file, else one of the user's own | as before, and the working folder is a |
|   | temporary copy that `mlflow run <URI>` has fetched |

Nothing is opened here.
"""

import os
import platform
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlproject.errors import UserError
from mlproject.experiments.storage import StorageUnreachable, storage_url
from mlproject.text.credentials import STORAGE_VARIABLE, hide_credentials
from mlproject.text.sqlite_urls import sqlite_file, sqlite_url
from mlproject.tracking.names import STUDY_FOLDER_TAG, STUDY_STORAGE_TAG
from mlproject.tracking.store import TrackingStore

_FETCHED = re.compile(r"tmp[a-z0-9_]{8}")
"""The name that `mlflow run` gives to the folder into which it fetches a project."""


class FilesWouldBeLost(UserError):
    """The only copy of a study would lie in a folder that nobody finds again."""


@dataclass(frozen=True, kw_only=True)
class StudyFiles:
    """Where the files of one study lie."""

    study_name: str
    storage_url: str
    folder: Path

    @property
    def trial_log(self) -> Path:
        """The text that can be followed, and from which the study can be recovered."""
        return self.folder / "trial_logs" / f"{self.study_name}.log"

    @property
    def checkpoints(self) -> Path:
        """The folder of what trials at work save."""
        return self.folder / "checkpoints" / self.study_name

    def make_folder(self) -> None:
        """Make the folder, if it is not there.

        Raises:
            FilesWouldBeLost: it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FilesWouldBeLost(
                f"{self.folder}, where the trial log and the checkpoints would lie, cannot be made "
                f"({error.strerror}): give the whole path of a file elsewhere with --storage "
                "(-P storage=)"
            ) from error

    def as_text(self) -> str:
        """One line for whoever launches the study."""
        shown = hide_credentials(self.storage_url)
        return f"kept in {shown}; trial_logs/ and checkpoints/ in {self.folder}"

    def as_tags(self) -> Mapping[str, str]:
        """What the parent run says, so that the files are found again from another place."""
        here = f"{platform.node()}:{self.folder}"
        return {STUDY_STORAGE_TAG: hide_credentials(self.storage_url), STUDY_FOLDER_TAG: here}


def study_files(store: TrackingStore, url: str | None, study_name: str) -> StudyFiles:
    """Decide where the files of a study lie; `url` is the storage that was asked for.

    Raises:
        FilesWouldBeLost: the storage would lie in a temporary copy of the project.
        StorageUnreachable: it is in memory.
        AmbiguousUrl: it holds a password that is not percent-encoded.
    """
    folder, fetched = store.directory.absolute(), fetched_copy(store)
    if fetched is not None and folder.is_relative_to(fetched):
        file = sqlite_file(url or os.environ.get(STORAGE_VARIABLE) or "")
        folder = _own_folder(store) if file is None else file.absolute().parent
    found = storage_url(url, folder)
    if found == store.uri:
        raise StorageUnreachable(
            f"storage {hide_credentials(found)} is MLflow's store: Optuna needs a database of its "
            "own, so name another"
        )
    file = sqlite_file(found)
    if file is not None:
        if fetched is not None and file.absolute().is_relative_to(fetched):
            raise FilesWouldBeLost(
                f"storage {found} would lie in {fetched}, a temporary copy of the project that the "
                "next launch does not find: give the whole path of a file elsewhere, or none"
            )
        found = _absolute(found, file)
    return StudyFiles(study_name=study_name, storage_url=found, folder=folder)


def fetched_copy(store: TrackingStore) -> Path | None:
    """Return the temporary copy of the project in which `mlflow run <URI>` runs it, if it does."""
    if store.launch_run_id is None:
        return None
    here, temporary = Path.cwd(), Path(tempfile.gettempdir()).resolve()
    if not here.resolve().is_relative_to(temporary):
        return None
    parts = here.resolve().relative_to(temporary).parts
    if not parts or not _FETCHED.fullmatch(parts[0]):
        return None
    source = Path(store.project_source)
    is_here = source.is_dir() and here.resolve().is_relative_to(source.resolve())
    return None if is_here else temporary / parts[0]


def _own_folder(store: TrackingStore) -> Path:
    """A folder of the user's for the studies of one store, the same wherever they are launched."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    of_store = re.sub(r"[^A-Za-z0-9.]+", "_", hide_credentials(store.uri))
    return Path(data).absolute() / "mlproject" / of_store


def _absolute(url: str, file: Path) -> str:
    """The URL of a file with its whole path, which is shown and kept with the study."""
    if file.is_absolute() or "?" in url:
        return url
    return sqlite_url(file.absolute())

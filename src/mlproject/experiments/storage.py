"""Optuna's storage of a study, and the claim that one launcher at a time has on it."""

import logging
import os
import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import (
    ExperimentalWarning,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mlproject.errors import UserError
from mlproject.search.carried_over import WarmStart, keep_warm_start
from mlproject.search.sampler import make_pruner
from mlproject.text.advice import of_storage
from mlproject.text.credentials import STORAGE_VARIABLE, check_url, first_line, hide_credentials
from mlproject.text.sqlite_tables import holds_mlflow
from mlproject.text.sqlite_urls import is_in_memory, sqlite_file, sqlite_url
from mlproject.tracking.names import IDENTITY_ATTR, IMPLIED_IDENTITY

HEARTBEAT_SECONDS = 60
# A trial is given up after this long without a heartbeat. Shorter, and a machine that merely
# swaps or a laptop that naps loses a living trial.
GRACE_SECONDS = 300
SQLITE_LOCK_SECONDS = 60


_logger = logging.getLogger(__name__)


class StorageUnreachable(UserError):
    """The storage URL is malformed, or nothing that can be used answers there."""


class StorageFailing(UserError):
    """The storage could be opened, but does not take the study's trials."""


class StudyOccupied(UserError):
    """The storage holds a study of this name that is a different study."""


class StudyRunning(UserError):
    """Another process is running this study."""


@dataclass(frozen=True, kw_only=True)
class StudyStorage:
    """Where one study is kept."""

    rdb: optuna.storages.RDBStorage
    study_name: str
    shown_url: str
    """The URL without its password."""
    directory: Path | None
    """The directory of a SQLite file; None for a database server."""


def open_study_storage(url: str | None, study_name: str, default_directory: Path) -> StudyStorage:
    """Open the storage at `url`, by default that of MLPROJECT_STORAGE, else ``optuna.db``.

    The file lies in `default_directory`.

    Raises:
        StorageUnreachable: it cannot be opened.
        AmbiguousUrl: it holds a password that is not percent-encoded.
    """
    url = storage_url(url, default_directory)
    shown = hide_credentials(url)
    try:
        is_file = make_url(url).get_backend_name() == "sqlite"
        file = sqlite_file(url)
        directory = file.absolute().parent if file is not None else None
        timeout = {"timeout": SQLITE_LOCK_SECONDS} if is_file else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            rdb = optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": timeout},
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=GRACE_SECONDS,
            )
        if is_file:
            # A commit then waits for the disk once instead of several times, and loses nothing.
            with rdb.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    except (ArgumentError, SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        found = of_storage(f"{error} {error.__cause__ or ''}")
        wrong = "" if found.is_wrong == "cannot be opened" else f"it {found.is_wrong}: "
        raise StorageUnreachable(
            f"storage {shown} cannot be opened ({first_line(error)}): {wrong}{found.advice}"
        ) from error
    return StudyStorage(rdb=rdb, study_name=study_name, shown_url=shown, directory=directory)


def find_study_storage(
    url: str | None, study_name: str, default_directory: Path
) -> StudyStorage | None:
    """As `open_study_storage`; None where that would have to make the SQLite file."""
    url = storage_url(url, default_directory)
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None
    return open_study_storage(url, study_name, default_directory)


def storage_url(url: str | None, default_directory: Path) -> str:
    """The URL of a storage, by default that of MLPROJECT_STORAGE, else of ``optuna.db``.

    Raises:
        StorageUnreachable: it is in memory, a store of MLflow's, or names no file that can be.
        AmbiguousUrl: it holds a password that is not percent-encoded.
    """
    url = url or os.environ.get(STORAGE_VARIABLE) or sqlite_url(default_directory / "optuna.db")
    check_url(url, "the storage URL")
    if is_in_memory(url):
        raise StorageUnreachable(
            f"storage {url} is in memory, and the study would end with this process: give a file "
            "such as sqlite:///optuna.db, or a database server"
        )
    file = sqlite_file(url)
    try:
        is_of_mlflow = file is not None and file.exists() and holds_mlflow(file)
    except OSError as error:
        raise StorageUnreachable(
            f"storage {hide_credentials(url)} cannot be opened ({error.strerror}): name another"
        ) from error
    if is_of_mlflow:
        raise StorageUnreachable(
            f"storage {url} is a store of MLflow's: Optuna needs a database of its own, so name "
            "another file"
        )
    return url


def begun_identity(storage: StudyStorage | None) -> Mapping[str, str | int]:
    """The identity of a study as it began; empty where it has not."""
    if storage is None or storage.study_name not in optuna.get_all_study_names(storage.rdb):
        return {}
    study = optuna.load_study(study_name=storage.study_name, storage=storage.rdb)
    found = study.user_attrs.get(IDENTITY_ATTR)
    return {} if found is None else {**IMPLIED_IDENTITY, **found}


def study_trials(storage: StudyStorage) -> list[FrozenTrial]:
    """The trials of the study, in order; none where it has not begun in this storage."""
    if storage.study_name not in optuna.get_all_study_names(storage.rdb):
        return []
    study = optuna.load_study(study_name=storage.study_name, storage=storage.rdb)
    return study.get_trials(deepcopy=False)


def check_unoccupied(storage: StudyStorage, identity: Mapping[str, str | int]) -> None:
    """Refuse a study of the same name whose trials would not be comparable.

    Raises:
        StudyOccupied: names each setting that differs.
    """
    if storage.study_name not in optuna.get_all_study_names(storage.rdb):
        return
    found = begun_identity(storage)
    study = optuna.load_study(study_name=storage.study_name, storage=storage.rdb)
    if not found and not study.get_trials(deepcopy=False):
        return
    where = f"storage {storage.shown_url} holds another study named {storage.study_name}"
    what_to_do = "use the same settings, another experiment name, or another storage"
    if not found:
        raise StudyOccupied(f"{where}, made by another program: {what_to_do}")
    differences = [
        f"{name} is {found.get(name)} there and {value} here"
        for name, value in identity.items()
        if found.get(name) != value
    ]
    if differences:
        raise StudyOccupied(f"{where} ({'; '.join(differences)}): {what_to_do}")


def open_study(
    storage: StudyStorage, identity: Mapping[str, str | int], warm: WarmStart | None = None
) -> optuna.Study:
    """Create the study with what it begins with, or load it when it exists, as it began."""
    study = optuna.create_study(
        study_name=storage.study_name,
        storage=storage.rdb,
        direction="minimize",
        pruner=make_pruner(int(identity["search_space"])),
        load_if_exists=True,
    )
    if IDENTITY_ATTR not in study.user_attrs:
        if warm is not None:
            keep_warm_start(study, warm)
        study.set_user_attr(IDENTITY_ATTR, dict(identity))  # the last: now it has begun
    return study


@contextmanager
def storage_errors(storage: StudyStorage) -> Iterator[None]:
    """Turn what Optuna raises when its storage fails (full, read-only, locked) into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        failure = _storage_failure(error)
        if failure is None:
            raise
        found = of_storage(str(failure))
        advice = "mend that" if found.is_wrong == "cannot be opened" else found.advice
        raise StorageFailing(
            f"storage {storage.shown_url} cannot be written ({first_line(failure)}): {advice}; the "
            "same command again goes on from the last trial that it holds"
        ) from error


def _storage_failure(error: BaseException | None) -> BaseException | None:
    """What failed in the database, if that is behind an error.

    Optuna raises an AssertionError of its own where the end of a trial cannot be written.
    """
    while error is not None:
        if isinstance(error, StorageInternalError):
            return error.__cause__ or error  # its own words are about invalid data
        if isinstance(error, SQLAlchemyError):
            return error
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def study_lock(storage: StudyStorage, default_directory: Path) -> Iterator[None]:
    """Hold the study for this process; the system lets go when the process ends, however it ends.

    Raises:
        StudyRunning: another process on this machine holds it.
        StorageFailing: nothing can be written there.
    """
    directory = storage.directory or default_directory
    lock = FileLock(directory / f"{storage.study_name}.lock", timeout=0)
    path = Path(lock.lock_file)
    try:
        lock.acquire()
        path.write_text(_holder())
    except Timeout as error:
        raise StudyRunning(
            f"study {storage.study_name} is being run by another process, {_read(path)} (it holds "
            f"{path}): wait for it, or stop it"
        ) from error
    except OSError as error:
        raise StorageFailing(
            f"{lock.lock_file} cannot be written ({error.strerror}): mend that and run the same "
            "command again"
        ) from error
    try:
        yield
    finally:
        # While it is held: who waits for it sees that its file is gone, and makes another.
        with suppress(OSError):
            path.unlink()
        lock.release()


def _read(path: Path) -> str:
    try:
        return path.read_text() or "which is only starting"
    except OSError:
        return "which is ending"


def _holder() -> str:
    return f"pid {os.getpid()} on {platform.node()} since {datetime.now():%Y-%m-%d %H:%M}"


def fail_dead_trials(study: optuna.Study, storage: StudyStorage) -> None:
    """Mark trials whose process died as failed.

    A SQLite study has one launcher at a time, so whatever it left running is dead. On a database
    server other machines may be at work: there the heartbeat decides.
    """
    if storage.directory is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(study)
        return
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        fail_trial(storage, trial)


def fail_trial(
    storage: StudyStorage, trial: FrozenTrial, attrs: Mapping[str, Any] | None = None
) -> None:
    """Mark a trial as failed whose process cannot, with what is known of it; not if it has ended.

    Without `Tag.FAILURE_REASON` among the `attrs`, its process died.
    """
    try:
        for name, value in (attrs or {}).items():
            storage.rdb.set_trial_user_attr(trial._trial_id, name, value)
        storage.rdb.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        _logger.debug("trial %d had ended", trial.number)

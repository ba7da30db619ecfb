"""What goes wrong with a tracking store: it is away, or it is well and refuses."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from mlproject.errors import UserError
from mlproject.text.advice import of_tracking
from mlproject.text.credentials import first_line, hide_credentials

MlflowError = MlflowException
"""The error that calls to a store raise, be it away or refusing (`is_refusal`)."""

_REFUSALS = {
    "ALREADY_EXISTS",
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "NOT_FOUND",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
}
"""MLflow's error codes of what it would refuse again."""
_SCHEMA = re.compile(r"out-of-date database schema \(found version (\w+)")
_MIGRATIONS = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"


class TrackingUnreachable(UserError):
    """The MLflow tracking store cannot be opened or does not answer."""


@contextmanager
def tracking_errors(uri: str, advice: str | None = None) -> Iterator[None]:
    """Turn what MLflow raises when a store is away or its disk full into `TrackingUnreachable`.

    What helps follows from the cause, unless there is an `advice`.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        found = of_tracking(whole_text(error))
        raise TrackingUnreachable(
            f"tracking store {hide_credentials(uri)} {found.is_wrong} ({first_line(error)}): "
            f"{advice or found.advice}"
        ) from error


def whole_text(error: BaseException) -> str:
    """The text of an error and of what it came from."""
    text = f"{error} {error.__cause__ or ''}"
    match = _SCHEMA.search(text)
    if match is not None and not any(_MIGRATIONS.glob(f"{match[1]}_*.py")):
        # MLflow calls a schema of which it knows nothing out of date as well.
        return f"newer than this MLflow: {match[1]}"
    return text


def is_of_deleted(error: Exception) -> bool:
    """Tell whether the error is a refusal because the run or its experiment was deleted."""
    return is_refusal(error) and "must be in the 'active' state" in str(error)


def is_refusal(error: Exception) -> bool:
    """Tell whether the error is a refusal: a store that is well would refuse the same again.

    Any other trouble passes with time: a connection that breaks, a server in trouble (5xx) or
    overrun (429), a database that is locked, full or restarted, credentials that expired, a proxy's
    own 404.
    """
    if isinstance(error.__cause__, SQLAlchemyError):
        return isinstance(error.__cause__, (IntegrityError, DataError))
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS

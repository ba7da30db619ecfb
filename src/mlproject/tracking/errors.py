"""What goes wrong with a tracking store: it is away, or it is well and refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from mlproject.errors import UserError
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
_ADVICE = "start it, or set MLFLOW_TRACKING_URI to another"


class TrackingUnreachable(UserError):
    """The MLflow tracking store cannot be opened or does not answer."""


@contextmanager
def tracking_errors(uri: str, advice: str = _ADVICE) -> Iterator[None]:
    """Turn what MLflow raises when a store is away or its disk full into `TrackingUnreachable`."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingUnreachable(
            f"tracking store {hide_credentials(uri)} does not answer ({first_line(error)}): "
            f"{advice}"
        ) from error


def is_refusal(error: Exception) -> bool:
    """Tell whether the error is a refusal: a store that is well would refuse the same again.

    Any other trouble passes with time: a connection that breaks, a server in trouble (5xx) or
    overrun (429), a database that is locked, full or restarted, credentials that expired, a proxy's
    own 404.
    """
    if isinstance(error.__cause__, SQLAlchemyError):
        return isinstance(error.__cause__, (IntegrityError, DataError))
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS

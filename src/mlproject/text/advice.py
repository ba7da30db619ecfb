"""What is wrong with a database or a server, and what helps, told by the words of its error.

Optuna, MLflow, SQLAlchemy and their drivers share few types of errors, but they share words. Who
failed is known where the error is caught; here it is told what that means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, as the predicate of a sentence, and what to do about it."""

    is_wrong: str
    advice: str


Row = tuple[str, str, str]
"""A pattern that the error's text shows, what is wrong then, and the advice."""

_AGAIN = "run the same command again"

_DATABASE: Sequence[Row] = (
    (r"database is locked", "is locked by another process", f"wait for that one, and {_AGAIN}"),
    (
        r"disk is full|No space left|disk I/O error",
        "cannot be written",
        f"make room on its disk, and {_AGAIN}",
    ),
    (
        r"readonly database|Read-only file system|read-only transaction",
        "can only be read",
        "make the file and its folder writable, or name another",
    ),
    (
        r"unable to open database file|No such file or directory|Permission denied: '",
        "cannot be opened",
        "make its folder, or get the right to write there, or name another",
    ),
    (
        r"file is not a database|file is encrypted|malformed",
        "is no database, or a damaged one",
        "name another file, or bring this one back from a backup",
    ),
    (
        r"password authentication failed|no password supplied|Access denied for user",
        "refuses this user",
        "give the right user and password in the environment variable of the URL, or in ~/.pgpass",
    ),
    (
        r'database ".*" does not exist|Unknown database',
        "has no such database",
        "create the database first (createdb), or name another",
    ),
    (
        r"No module named '(?P<module>[\w.]+)'",
        "needs a driver that is not installed",
        "install the one that has the module {module}, or name a URL whose driver is installed",
    ),
    (
        r"Can't load plugin|Could not parse SQLAlchemy URL|Expected string or URL",
        "has a URL that names no database",
        "give a database URL such as sqlite:///optuna.db or postgresql://user@host/name",
    ),
)

_AWAY = (
    r"refused|could not connect|could not translate|timed? ?out|not known|resolution|Max retries|"
    r"reset by peer|Connection aborted|server closed the connection|Network is unreachable"
)

_STORAGE: Sequence[Row] = (
    (
        r"optuna storage upgrade",
        "was made by an older Optuna",
        "make a backup and run 'optuna storage upgrade --storage URL', or name another storage",
    ),
    (
        r"pip install -U optuna|no longer compatible with the table schema",
        "was made by a newer Optuna",
        "use that version, or name another storage",
    ),
    (
        r"Can't locate revision|alembic_version|no such column|no such table|UndefinedColumn",
        "holds the tables of another program or version",
        "Optuna's storage needs a database of its own, other than MLflow's: name another",
    ),
    *_DATABASE,
    (_AWAY, "does not answer", "start its server, or name another storage"),
)

_TRACKING: Sequence[Row] = (
    (
        r"_alembic_tmp_|table \S+ already exists",
        "was created by several processes at once, and is broken",
        "if nothing is in it yet, delete it and run 'make store' before the launches; else bring "
        "it back from a backup",
    ),
    (
        r"out-of-date database schema",
        "was made by an older MLflow",
        "make a backup and run 'mlflow db upgrade URL', or name another store",
    ),
    (
        r"newer than this MLflow|Can't locate revision|no such column|UndefinedColumn",
        "was made by a newer MLflow, or by another program",
        "use that version, or name a database of MLflow's own, other than Optuna's",
    ),
    (
        r"unsupported URI|not supported in the current version|Invalid url|Invalid IPv6",
        "has a URI that names no store",
        "set MLFLOW_TRACKING_URI to one such as sqlite:///mlflow.db or http://localhost:5000",
    ),
    (
        r"Invalid Host header|DNS rebinding",
        "refuses the name by which it is called",
        "start it with --allowed-hosts and that name",
    ),
    (
        r"\b401\b|UNAUTHENTICATED|not authenticated|Unauthorized",
        "does not know who asks",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    ),
    (
        r"\b403\b|PERMISSION_DENIED|Forbidden",
        "forbids this to the user who asks",
        "ask whoever runs it for the right to write here, or log in as somebody else",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify",
        "shows a certificate that is not trusted",
        "name the right one in MLFLOW_TRACKING_SERVER_CERT_PATH",
    ),
    (
        r"SSLError|WRONG_VERSION_NUMBER|record layer failure",
        "does not speak TLS as it is called",
        "write http:// or https:// in MLFLOW_TRACKING_URI as the server has it",
    ),
    (
        r"error code 5\d\d|too many 5\d\d|Internal Server Error|Bad Gateway|Service Unavailable",
        "is in trouble",
        f"see the server's own log, mend that, and {_AGAIN}",
    ),
    (_AWAY, "does not answer", "start it, or set MLFLOW_TRACKING_URI to another"),
    (
        r"error code 404|\b404 Not Found|Unexpected response|not in a valid JSON|Expecting value",
        "is no MLflow server",
        "set MLFLOW_TRACKING_URI to the address of one",
    ),
    *_DATABASE,
)

_ARTIFACTS: Sequence[Row] = (
    (
        r"No module named '(?P<module>[\w.]+)'",
        "needs a package that is not installed",
        "pip install {module}, or let the server store artifacts (mlflow server --serve-artifacts)",
    ),
    (
        r"[Cc]redentials|AccessDenied|InvalidAccessKey|Forbidden|\b403\b|\b401\b",
        "refuses this user",
        "give its credentials in the environment, or let the server store artifacts "
        "(mlflow server --serve-artifacts)",
    ),
    (
        r"Permission denied|Read-only file system|Errno 13|Errno 30",
        "cannot be written by this user",
        "a server that stores artifacts itself is started with --serve-artifacts and an "
        "experiment that is made then; else get the right to write there",
    ),
    (r"No space left", "is full", f"make room there, and {_AGAIN}"),
    (_AWAY, "does not answer", f"start its server, and {_AGAIN}"),
)


def of_storage(text: str) -> Diagnosis:
    """Tell what is wrong with Optuna's storage."""
    return _find(
        _STORAGE,
        text,
        Diagnosis(
            "cannot be opened",
            "give a database URL such as sqlite:///optuna.db or postgresql://user@host/name",
        ),
    )


def of_tracking(text: str) -> Diagnosis:
    """Tell what is wrong with MLflow's tracking store."""
    advice = "start it, or set MLFLOW_TRACKING_URI to another"
    return _find(_TRACKING, text, Diagnosis("does not answer", advice))


def of_artifacts(text: str) -> Diagnosis:
    """Tell what is wrong with where MLflow keeps artifacts."""
    return _find(_ARTIFACTS, text, Diagnosis("cannot be written", f"mend that, and {_AGAIN}"))


def _find(rows: Sequence[Row], text: str, otherwise: Diagnosis) -> Diagnosis:
    for pattern, is_wrong, advice in rows:
        match = re.search(pattern, text)
        if match is not None:
            return Diagnosis(is_wrong, advice.format(**match.groupdict()))
    return otherwise

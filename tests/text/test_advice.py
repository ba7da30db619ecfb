"""What is told of an error fits its cause: who failed, and what helps."""

import pytest

from mlproject.text.advice import of_artifacts, of_storage, of_tracking


@pytest.mark.parametrize(
    ("text", "helps"),
    [
        ("API request … failed with error code 401 != 200", "MLFLOW_TRACKING_USERNAME"),
        ("You are not authenticated. Please see …", "MLFLOW_TRACKING_USERNAME"),
        ("PERMISSION_DENIED: Permission denied", "the right to write"),
        ("error code 403 … Invalid Host header - possible DNS rebinding", "--allowed-hosts"),
        ("Detected out-of-date database schema (found version 1", "mlflow db upgrade"),
        ("newer than this MLflow: ffff", "use that version"),
        ("table _alembic_tmp_latest_metrics already exists", "make store"),
        ("(sqlite3.OperationalError) unable to open database file", "make its folder"),
        ("(sqlite3.DatabaseError) file is not a database", "name another file"),
        ("No module named 'pymysql'", "module pymysql"),
        ("Max retries exceeded … Connection refused", "start it"),
        ("Max retries exceeded … too many 500 error responses", "the server's own log"),
        ("the response body was not in a valid JSON format", "the address of one"),
        ("failed with error code 404 != 200", "the address of one"),
        ("got unsupported URI 'ftp://x' for model registry", "one such as sqlite:///mlflow.db"),
        ("Invalid url: http://localhost:99999/api/2.0", "one such as sqlite:///mlflow.db"),
        ("SSL: CERTIFICATE_VERIFY_FAILED", "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        ("who knows", "start it"),
    ],
)
def test_of_mlflows_store(text: str, helps: str) -> None:
    assert helps in of_tracking(text).advice


@pytest.mark.parametrize(
    ("text", "helps"),
    [
        ("no longer compatible … `$ optuna storage upgrade --storage`", "optuna storage upgrade"),
        ("no longer compatible … `$ pip install -U optuna`", "use that version"),
        ("Can't locate revision identified by '1bd49d398cd2'", "a database of its own"),
        ("(sqlite3.OperationalError) database or disk is full", "make room"),
        ("attempt to write a readonly database", "writable"),
        ("database is locked", "wait for that one"),
        ('connection to server … failed: FATAL:  database "x" does not exist', "createdb"),
        ('FATAL:  password authentication failed for user "me"', "right user and password"),
        ("connection to server … failed: Connection refused", "start its server"),
        ("who knows", "give a database URL"),
    ],
)
def test_of_optunas_storage(text: str, helps: str) -> None:
    found = of_storage(text)
    assert helps in found.advice
    assert "MLFLOW" not in found.advice


@pytest.mark.parametrize(
    ("text", "helps"),
    [
        ("No module named 'boto3'", "pip install boto3"),
        ("[Errno 13] Permission denied: '/srv/mlruns'", "--serve-artifacts"),
        ("Unable to locate credentials", "credentials"),
        ("[Errno 28] No space left on device", "make room"),
    ],
)
def test_of_artifacts(text: str, helps: str) -> None:
    assert helps in of_artifacts(text).advice

"""Credentials that `mlflow run` has logged before it called this program."""

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from mlproject.text.credentials import HIDDEN, hide_credentials, holds_credentials


def take_back_params(run_id: str) -> str:
    """Take credentials out of the params of a run; what became of it, in words.

    MLflow never changes a param. In a database it is overwritten all the same; on a server the run
    is deleted, which hides it until the server's owner removes it for good.
    """
    uri = mlflow.get_tracking_uri()
    try:
        client = MlflowClient(tracking_uri=uri)
        params = client.get_run(run_id).data.params
        names = [name for name, value in params.items() if holds_credentials(value)]
        if not uri.startswith("http"):
            _overwrite(uri, run_id, names)
            return f"what `mlflow run` logged of it was taken out of run {run_id}"
        # Not set_terminated, which prints the server's URL.
        client.update_run(run_id, status="FAILED")
        client.delete_run(run_id)
    except (MlflowException, SQLAlchemyError):
        return f"`mlflow run` logged it as a param of run {run_id}, where it still is"
    return (
        f"`mlflow run` logged it as a param of run {run_id}, which is deleted now: have "
        f"'mlflow gc --run-ids {run_id}' run on the tracking server"
    )


def take_back_tags(client: MlflowClient, run: Run) -> None:
    """Take credentials out of the tags of a run: `mlflow run` logs the URL of a repository."""
    for name, value in run.data.tags.items():
        if holds_credentials(value):
            client.set_tag(run.info.run_id, name, hide_credentials(value))


def _overwrite(uri: str, run_id: str, names: list[str]) -> None:
    engine = create_engine(uri)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Or the old value would stay in the file, in space that is free.
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            connection.execute(
                text("UPDATE params SET value = :hidden WHERE run_uuid = :run AND key = :name"),
                [{"hidden": HIDDEN, "run": run_id, "name": name} for name in names],
            )
    finally:
        engine.dispose()

"""Logging a model with a run and registering it, by client calls alone.

`mlflow.pyfunc.log_model` would need an active run and a global tracking URI; a process that is
itself a run of `mlflow run` has others of both.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.entities.logged_model_status import LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.store import TrackingStore


@dataclass(frozen=True, kw_only=True)
class ServableModel:
    """A model in a folder and what MLflow has to know to serve it."""

    folder: Path
    loader_module: str
    """The module whose `_load_pyfunc` reads the folder."""
    code: Path
    """The package that the loader is in; it travels with the model."""
    packages: Sequence[str]
    """Distributions that the loader needs, in the versions installed here."""
    inputs: Mapping[str, str | None]
    """The columns of a request and their types in MLflow's words, such as ``double``; None takes
    any."""
    outputs: Mapping[str, str]
    """The columns of an answer, likewise."""
    input_example: pd.DataFrame
    optional_inputs: Mapping[str, str | None] = field(default_factory=dict)
    """Columns that a request may have, likewise."""


def register_model(
    store: TrackingStore,
    run_id: str,
    model: ServableModel,
    *,
    name: str,
    description: str,
    tags: Mapping[str, str],
) -> str:
    """Log the model as an output of the run, register it as `name`, and return its new version.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    client = store.client
    with tracking_errors(store.uri), tempfile.TemporaryDirectory() as folder:
        logged = client.create_logged_model(
            store.experiment_id, name="model", source_run_id=run_id, tags=dict(tags)
        )
        local = Path(folder) / "model"
        mlflow.pyfunc.save_model(
            local,
            loader_module=model.loader_module,
            data_path=str(model.folder),
            code_paths=[str(model.code)],
            mlflow_model=Model(run_id=run_id, model_id=logged.model_id),
            signature=_signature(model),
            input_example=model.input_example,
            pip_requirements=[_pinned(package) for package in model.packages],
        )
        client.log_model_artifacts(logged.model_id, str(local))
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
                raise
        created = client.create_model_version(
            name,
            source=logged.artifact_location,
            run_id=run_id,
            tags=dict(tags),
            description=description,
            model_id=logged.model_id,
        )
        link = json.dumps([{"name": name, "version": int(created.version)}])
        client.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: link})
    return str(created.version)


def _signature(model: ServableModel) -> ModelSignature:
    inputs = [*_columns(model.inputs), *_columns(model.optional_inputs, required=False)]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(_columns(model.outputs)))


def _columns(
    columns: Mapping[str, str | None], *, required: bool = True
) -> list[ColSpec | TensorSpec]:
    return [ColSpec(kind or AnyType(), name, required) for name, kind in columns.items()]


def _pinned(package: str) -> str:
    # A local part such as +cpu is a build, which no index has under this name.
    return f"{package}=={version(package).partition('+')[0]}"

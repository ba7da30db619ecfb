"""How processes other than the launcher reach a study.

A database server they speak to themselves. A SQLite file belongs to the launcher, which serves it
through Optuna's gRPC storage proxy for as long as it lives.
"""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages._grpc.servicer import OptunaStorageProxyService

from mlproject.experiments.sampler import make_pruner
from mlproject.experiments.storage import StudyStorage, open_study_storage

_ONE_AT_A_TIME = 1
"""Two workers may reach for the same enqueued trial. On a server the row is locked; SQLite has no
such lock, and both would be given it."""


@dataclass(frozen=True, kw_only=True)
class SharedStudy:
    """Where a worker finds the study."""

    study_name: str
    url: str | None = field(default=None, repr=False)
    """Of a database server, its password included; None where a proxy serves the study."""
    proxy: tuple[str, int] | None = None
    """Host and port."""

    def load(self) -> optuna.Study:
        """The study, from another process than the launcher's."""
        storage: optuna.storages.BaseStorage
        if self.proxy is None:
            storage = open_study_storage(self.url, self.study_name, Path.cwd()).rdb
        else:
            host, port = self.proxy
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                storage = optuna.storages.GrpcStorageProxy(host=host, port=port)
        return optuna.load_study(study_name=self.study_name, storage=storage, pruner=make_pruner())


@contextmanager
def share_study(storage: StudyStorage, host: str) -> Iterator[SharedStudy]:
    """Let workers reach the study while the block runs; a proxy listens on `host` alone."""
    if storage.directory is None:
        yield SharedStudy(study_name=storage.study_name, url=storage.rdb.url)
        return
    # Not `run_grpc_proxy_server`: it cannot be stopped, and its port has to be guessed, while gRPC
    # lets two servers share one: a worker might write into another study.
    server = grpc.server(ThreadPoolExecutor(_ONE_AT_A_TIME), options=[("grpc.so_reuseport", 0)])
    service = OptunaStorageProxyService(optuna.storages.get_storage(storage.rdb))
    api_pb2_grpc.add_StorageServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"{host}:0")
    server.start()
    try:
        yield SharedStudy(study_name=storage.study_name, proxy=(host, port))
    finally:
        server.stop(grace=None).wait()

"""How processes other than the launcher reach a study.

A database server they speak to themselves. A SQLite file belongs to the launcher, which serves it
through Optuna's gRPC storage proxy for as long as it lives.
"""

import secrets
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages._grpc.auto_generated import api_pb2_grpc
from optuna.storages._grpc.client import GrpcClientCache
from optuna.storages._grpc.servicer import OptunaStorageProxyService

from mlproject.experiments.storage import StudyStorage, open_study_storage
from mlproject.search.sampler import make_pruner

_ONE_AT_A_TIME = 1
"""Two workers may reach for the same enqueued trial. On a server the row is locked; SQLite has no
such lock, and both would be given it."""

_SECRET = "secret"
"""The header of a call to the proxy that shows that the launcher sent the caller."""


@dataclass(frozen=True, kw_only=True)
class ProxyAddress:
    """Where the launcher serves a study."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class SharedStudy:
    """Where a worker finds the study."""

    study_name: str
    url: str | None = field(default=None, repr=False)
    """Of a database server, its password included; None where a proxy serves the study."""
    proxy: ProxyAddress | None = None

    def load(self, search_space: int) -> optuna.Study:
        """The study, from another process than the launcher's."""
        storage: optuna.storages.BaseStorage
        if self.proxy is None:
            storage = open_study_storage(self.url, self.study_name, Path.cwd()).rdb
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                storage = _Proxy(self.proxy)
        return optuna.load_study(
            study_name=self.study_name, storage=storage, pruner=make_pruner(search_space)
        )


@contextmanager
def share_study(storage: StudyStorage, host: str) -> Iterator[SharedStudy]:
    """Let workers reach the study while the block runs; a proxy listens on `host` alone."""
    if storage.directory is None:
        yield SharedStudy(study_name=storage.study_name, url=storage.rdb.url)
        return
    # Not `run_grpc_proxy_server`: it cannot be stopped, and its port has to be guessed, while gRPC
    # lets two servers share one: a worker might write into another study.
    secret = secrets.token_hex()
    server = grpc.server(
        ThreadPoolExecutor(_ONE_AT_A_TIME),
        interceptors=[_OnlyWithSecret(secret)],
        options=[("grpc.so_reuseport", 0)],
    )
    service = OptunaStorageProxyService(optuna.storages.get_storage(storage.rdb))
    api_pb2_grpc.add_StorageServiceServicer_to_server(service, server)
    port = server.add_insecure_port(f"{host}:0")
    server.start()
    try:
        proxy = ProxyAddress(host=host, port=port, secret=secret)
        yield SharedStudy(study_name=storage.study_name, proxy=proxy)
    finally:
        server.stop(grace=None).wait()


class _OnlyWithSecret(grpc.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Others on the machine, or in the network, can reach the port."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Hand a call on, or refuse it."""
        given = str(dict(details.invocation_metadata).get(_SECRET, ""))
        if secrets.compare_digest(given.encode(), self._secret.encode()):
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(
            lambda _request, context: context.abort(
                grpc.StatusCode.UNAUTHENTICATED, "this study is served to its own workers"
            )
        )


class _ShowSecret(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc] # grpc has no types
    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
    ) -> Any:
        """Send the secret along."""
        metadata = [*(details.metadata or ()), (_SECRET, self._secret)]
        return continuation(details._replace(metadata=metadata), request)


class _Proxy(optuna.storages.GrpcStorageProxy):
    """Optuna's, with the secret."""

    def __init__(self, address: ProxyAddress) -> None:
        self._secret = address.secret
        super().__init__(host=address.host, port=address.port)

    def _setup(self) -> None:
        super()._setup()
        channel = grpc.intercept_channel(self._channel, _ShowSecret(self._secret))
        self._stub = api_pb2_grpc.StorageServiceStub(channel)
        self._cache = GrpcClientCache(self._stub)

"""Threads that work on parts of a batch at the same time, each on a core of its own.

The operations of a narrow network are too small to be shared among cores: most of the time goes
into handing them out. Parts of the batch share nothing but the weights.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class BatchThreads:
    """A context manager that maps a function over parts of a batch.

    With more than one thread torch uses one core for each operation meanwhile; with one thread
    everything stays as it is.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._cores = torch.get_num_threads()

    def __enter__(self) -> Self:
        if self._pool is not None:
            torch.set_num_threads(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self._cores)

    def map(self, function: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
        """The results in the order of the parts; with one thread each is made when asked for."""
        return map(function, parts) if self._pool is None else self._pool.map(function, parts)

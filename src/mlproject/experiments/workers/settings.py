"""How many workers a user asks for, and where."""

import math
import re
from dataclasses import dataclass
from importlib.util import find_spec

from mlproject.errors import UserError

_HOST_AND_PORT = re.compile(r"[^\s/]+:\d+")


class BadWorkers(UserError):
    """Workers that cannot be had."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """How many trials run at a time, and where."""

    workers: int = 1
    ray_address: str | None = None
    """Of a Ray cluster, such as ``10.0.0.1:6379``, or ``auto``; None is this machine."""
    gpus_per_trial: float | None = None
    """What each worker gets, also a fraction; None is one where Ray has GPUs, else none."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise BadWorkers(f"workers is {self.workers}: it must be at least 1")
        gpus = self.gpus_per_trial
        if gpus is not None and not 0 <= gpus < math.inf:
            raise BadWorkers(f"gpus_per_trial is {gpus:g}: it must be 0 or more")
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise BadWorkers(
                f"gpus_per_trial is {gpus:g}: it must be a part of one GPU, or whole ones"
            )
        address = self.ray_address
        if address not in (None, "auto") and not _HOST_AND_PORT.fullmatch(str(address)):
            raise BadWorkers(
                f"ray_address is {address!r}: give host:port, such as 10.0.0.1:6379, or auto"
            )
        if self.through_ray and not all(map(find_spec, ("ray", "grpc"))):
            raise BadWorkers(
                "more than one worker, or a ray_address, needs Ray, which is not installed: "
                "pip install '.[ray]', or leave both out"
            )

    @property
    def through_ray(self) -> bool:
        """Whether Ray starts the workers; one alone is the launcher itself."""
        return self.workers > 1 or self.ray_address is not None


ALONE = WorkerSettings()
"""The launcher runs one trial after the other itself."""


def parse_workers(
    workers: int, ray_address: str | None, gpus_per_trial: str | None
) -> WorkerSettings:
    """Read what a user writes; what is empty is unset, as `mlflow run` passes it.

    Raises:
        BadWorkers: says what cannot be used.
    """
    try:
        gpus = float(gpus_per_trial) if gpus_per_trial else None
    except ValueError as error:
        raise BadWorkers(
            f"gpus_per_trial is {gpus_per_trial!r}: give a number such as 1 or 0.5"
        ) from error
    return WorkerSettings(workers=workers, ray_address=ray_address or None, gpus_per_trial=gpus)

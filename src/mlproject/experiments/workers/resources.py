"""What each worker gets of the machines: cores, memory, GPUs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlproject.experiments.workers.settings import BadWorkers
from mlproject.text.phrases import counted


@dataclass(frozen=True, kw_only=True)
class Node:
    """What Ray has to give on one machine."""

    node_id: str
    cpus: int
    gpus: int


@dataclass(frozen=True, kw_only=True)
class ResourcesPerWorker:
    """What each worker of a study gets, wherever it is placed."""

    cores: int
    gpus: float

    def of_memory(self, node: Node) -> float | None:
        """The part of its device's free memory; None where the device is the worker's alone."""
        if self.gpus:
            return self.gpus if self.gpus < 1 else None
        return self.cores / node.cpus


def equal_resources(nodes: Sequence[Node], workers: int, gpus_each: float) -> ResourcesPerWorker:
    """The most cores that each worker can have so that all of them have a place.

    Raises:
        BadWorkers: there is no place for so many.
    """
    most = max((node.cpus for node in nodes), default=0)
    for cores in range(most, 0, -1):
        if sum(_places(node, cores, gpus_each) for node in nodes) >= workers:
            return ResourcesPerWorker(cores=cores, gpus=gpus_each)
    needs = "1 CPU" + (f" and {gpus_each:g} GPU" if gpus_each else "")
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    places = sum(_places(node, 1, gpus_each) for node in nodes)
    raise BadWorkers(
        f"workers is {workers}: each needs {needs}, and Ray has {cpus} CPU and {gpus} GPU on "
        f"{counted(len(nodes), 'machine')}, room for {places}: ask for fewer workers"
        + (", or a smaller gpus_per_trial" if gpus_each else "")
    )


def _places(node: Node, cores: int, gpus_each: float) -> int:
    """How many workers a machine has room for. Parts of a GPU are parts of one GPU."""
    by_cores = node.cpus // cores
    if not gpus_each:
        return by_cores
    if gpus_each < 1:
        return min(by_cores, node.gpus * math.floor(1 / gpus_each))
    return min(by_cores, int(node.gpus // gpus_each))

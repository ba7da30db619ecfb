"""How the machines are shared out."""

import pytest

from mlproject.experiments.workers.resources import Node, ResourcesPerWorker, equal_resources
from mlproject.experiments.workers.settings import BadWorkers


def _node(cpus: int, gpus: int = 0) -> Node:
    return Node(node_id="a", cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "cores"),
    [
        ([_node(16)], 4, 0, 4),
        ([_node(16)], 3, 0, 5),
        ([_node(3)], 3, 0, 1),
        # 32 cores for three, but no machine has room for ten twice: a third would wait for ever.
        ([_node(16), _node(16)], 3, 0, 8),
        ([_node(16), _node(2)], 3, 0, 5),
        ([_node(16, 2), _node(64)], 2, 1, 8),
        ([_node(16, 1)], 3, 0.3, 5),
        ([_node(16, 8)], 4, 2, 4),
    ],
)
def test_everybody_has_as_many_cores_as_leave_room_for_all(
    nodes: list[Node], workers: int, gpus: float, cores: int
) -> None:
    assert equal_resources(nodes, workers, gpus) == ResourcesPerWorker(cores=cores, gpus=gpus)


@pytest.mark.parametrize(
    ("nodes", "workers", "gpus", "said"),
    [
        ([_node(2)], 3, 0, "workers is 3: each needs 1 CPU, and Ray has 2 CPU and 0 GPU on 1"),
        ([_node(64, 1), _node(64, 1)], 3, 1, "1 CPU and 1 GPU, .* 2 GPU on 2 machines, room for 2"),
        # Two thirds of a GPU are on no GPU twice, however much is left of both.
        ([_node(64, 2)], 3, 0.6, "room for 2: ask for fewer workers, or a smaller gpus_per_trial"),
        ([_node(64, 1)], 1, 2, "room for 0"),
    ],
)
def test_more_than_there_is_room_for_is_refused(
    nodes: list[Node], workers: int, gpus: float, said: str
) -> None:
    with pytest.raises(BadWorkers, match=said):
        equal_resources(nodes, workers, gpus)


def test_memory_goes_with_the_cores_or_with_the_part_of_a_gpu() -> None:
    assert ResourcesPerWorker(cores=5, gpus=0).of_memory(_node(20)) == 0.25
    assert ResourcesPerWorker(cores=5, gpus=0.5).of_memory(_node(20, 1)) == 0.5
    assert ResourcesPerWorker(cores=5, gpus=2).of_memory(_node(20, 4)) is None

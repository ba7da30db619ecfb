"""The workload of a study: what every training of it asks of its device, and what there is.

What one architecture needs is in `memory_need`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mlproject.training.system.free_memory import free_memory_bytes, held_memory_bytes

PROCESS_BYTES = 500_000_000
"""What a process of a sharded training holds on the CPU before it has a network."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a study asks of its device, whatever the architecture."""

    device: torch.device
    n_features: int
    batch_size: int
    """Windows per optimiser step."""
    memory_limit_bytes: int | None = None
    """What this process may hold of the device in all, where others train there too."""
    n_processes: int = 1
    """Processes that share one training, each with a device like `device`."""

    @classmethod
    def on(
        cls,
        devices: Sequence[torch.device],
        *,
        n_features: int,
        batch_size: int,
        memory_limit_bytes: int | None = None,
    ) -> "Workload":
        """The workload of trainings on all these devices; the fullest of them stands for each."""
        return cls(
            device=min(devices, key=free_memory_bytes),
            n_features=n_features,
            batch_size=batch_size,
            memory_limit_bytes=memory_limit_bytes,
            n_processes=len(devices),
        )


def usable_memory_bytes(workload: Workload) -> int:
    """The bytes that the device could still give to each process, its limit kept to."""
    free, limit = free_memory_bytes(workload.device), workload.memory_limit_bytes
    if limit is not None:
        free = max(0, min(free, limit - held_memory_bytes(workload.device)))
    if workload.n_processes > 1 and workload.device.type == "cpu":
        return free // workload.n_processes - PROCESS_BYTES
    return free

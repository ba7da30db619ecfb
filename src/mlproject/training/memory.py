"""Whether a model can be trained at all in the memory that there is."""

import psutil
import torch

from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture

BYTES_PER_PARAMETER = 16
"""Weight, gradient and AdamW's two moments, in fp32. Activations come on top."""


class TooLittleMemory(UserError):
    """The largest architecture of a study cannot be trained here."""


def check_memory(largest: Architecture, device: torch.device) -> None:
    """Refuse what would only swap, before any work is done.

    Raises:
        TooLittleMemory: weights, gradients and optimiser of `largest` exceed the free memory.
    """
    needed = largest.param_count * BYTES_PER_PARAMETER
    free = free_memory_bytes(device)
    if needed > free:
        raise TooLittleMemory(
            f"too little memory on {device}: the largest architecture, {largest.param_count:,} "
            f"parameters, needs {needed / 1e9:.1f} GB for weights, gradients and AdamW, and "
            f"{free / 1e9:.1f} GB are free: use a smaller budget or a device with more memory"
        )


def free_memory_bytes(device: torch.device) -> int:
    """What the device could still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)

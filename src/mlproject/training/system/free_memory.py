"""The memory of a device: what it could still give, and what this process holds of it."""

import psutil
import torch


def free_memory_bytes(device: torch.device) -> int:
    """The bytes that the device could still give to any process."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def held_memory_bytes(device: torch.device) -> int:
    """The bytes that this process holds of the device."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    return int(psutil.Process().memory_info().rss)

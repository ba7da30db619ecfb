"""The peak of what was held."""

import mmap

import torch

from mlproject.training.system.peak_memory import PeakMemory


def test_the_peak_is_of_this_piece_of_work_alone() -> None:
    device = torch.device("cpu")
    # Not a tensor: malloc may take it from blocks that were freed before and never gave back.
    with PeakMemory(device) as large, mmap.mmap(-1, 240_000_000) as held:
        held.write(bytes(240_000_000))
    with PeakMemory(device) as small:
        torch.ones(1000)
    assert large.peak_bytes - small.peak_bytes > 200_000_000

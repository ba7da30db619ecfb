"""The peak of what was held."""

import torch

from mlproject.training.system.peak_memory import PeakMemory


def test_the_peak_is_of_this_piece_of_work_alone() -> None:
    device = torch.device("cpu")
    with PeakMemory(device) as large:
        held = torch.ones(60_000_000)  # 240 MB, freed below
        del held
    with PeakMemory(device) as small:
        torch.ones(1000)
    assert large.peak_bytes - small.peak_bytes > 200_000_000

"""The peak memory of a piece of work: the most that it held at any moment."""

import resource
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class PeakMemory:
    """A context manager that measures the peak, in bytes, on a device.

    On CUDA the peak of torch's allocations. On the CPU the peak resident size of the process,
    which Linux allows to be reset (man 5 proc, clear_refs); elsewhere it is the peak since the
    process began.
    """

    peak_bytes: int

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif _CLEAR_REFS.exists():
            _CLEAR_REFS.write_text(_RESET_PEAK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._device.type == "cuda":
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        elif _CLEAR_REFS.exists():
            status = Path("/proc/self/status").read_text()
            (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
            self.peak_bytes = int(peak) * 1024
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            self.peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

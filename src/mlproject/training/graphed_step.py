"""A training step as one CUDA graph: its kernels are launched together, by one call.

The operations of a narrow, deep network are so small that a GPU waits for each of them to be handed
out. A graph records them once, with the addresses of their tensors, and repeats them. **It was
never run on a GPU**, and is therefore off unless the environment variable `SWITCH` asks for it;
`benchmarks/gpu.py` compares it with the step as it is.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from mlproject.models.dropout import Dropout
from mlproject.training.optimisers import AdamW
from mlproject.training.plan import OptimiserName, TrainingPlan
from mlproject.training.step import TrainingStep, summed_loss

SWITCH = "MLPROJECT_CUDA_GRAPH"
"""Set to 1, the steps of a training on a GPU become a graph where they can."""

REHEARSALS = 3
"""Steps that are taken as they are before one is recorded: libraries set themselves up in them."""

T = TypeVar("T")
Work = Callable[[], None]

_logger = logging.getLogger(__name__)


def wants_graph(plan: TrainingPlan, device: torch.device) -> bool:
    """Whether a training on the device is to have a graph.

    Adafactor uses and frees each gradient in the middle of the backward pass: it has none.
    """
    is_asked_for = os.environ.get(SWITCH) == "1"
    return is_asked_for and device.type == "cuda" and plan.optimiser is OptimiserName.ADAMW


class Recorder(Protocol):
    """A recorder turns work into what repeats it at once."""

    def rehearse(self, work: Callable[[], T]) -> T:
        """Do the work as it is, where it will be recorded; what it returns."""

    def record(self, work: Work) -> Work:
        """What repeats the work. Whether it is done meanwhile is not said.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class CudaRecorder:
    """The recorder of CUDA, which records a stream of its own and does nothing meanwhile."""

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)

    def rehearse(self, work: Callable[[], T]) -> T:
        """As `Recorder.rehearse`."""
        usual = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            result = work()
        usual.wait_stream(self._stream)
        return result

    def record(self, work: Work) -> Work:
        """As `Recorder.record`."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            work()
        return graph.replay


@dataclass(kw_only=True)
class GraphedStep(TrainingStep):
    """A step that repeats what was recorded of an earlier one.

    Recorded is a whole batch that goes through the network in one piece, all activations kept; any
    other, such as the last of an epoch, is taken as it is. Masks come from the device's generator,
    which each repetition moves on.
    """

    recorder: Recorder
    _rehearsed: int = field(default=0, init=False)
    _repeat: Work | None = field(default=None, init=False)
    _is_refused: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # What a repetition reads and writes has one address.
        device = self.data.features.device
        self._ends = torch.zeros(self.settings.batch_size, dtype=torch.int64, device=device)
        self._rate = torch.zeros((), device=device)
        self._loss = torch.zeros((), device=device)

    def _run(self, ends: Tensor, step: int, learning_rate: float) -> Tensor:
        as_it_is = super()._run
        is_whole = len(ends) == len(self._ends) <= self.layout.micro_batch
        if self._is_refused or not is_whole or self.layout.checkpoint_every:
            return as_it_is(ends, step, learning_rate)
        if self._rehearsed < REHEARSALS:
            self._rehearsed += 1
            return self.recorder.rehearse(lambda: as_it_is(ends, step, learning_rate))
        self._ends.copy_(ends)
        self._rate.fill_(learning_rate)
        if self._repeat is None:
            try:
                self._repeat = self.recorder.record(self._work)
            except RuntimeError as error:
                _logger.warning("the step cannot be recorded: %s", str(error).splitlines()[0])
                self._is_refused = True
                self.optimiser.zero_grad()
                return as_it_is(ends, step, learning_rate)
        self._repeat()
        return self._loss.clone()

    def _work(self) -> None:
        """One step on what the tensors hold, without waiting for the device."""
        assert isinstance(self.optimiser, AdamW)
        masks = Dropout(self.settings.dropout)
        summed = summed_loss(self.model, self.data, self._ends, masks, checkpoint_every=0)
        loss = summed / len(self._ends)
        self.optimiser.accumulate(self.optimiser.backward(loss))
        self.optimiser.step(rate=self._rate)
        self._loss.copy_(loss.detach())

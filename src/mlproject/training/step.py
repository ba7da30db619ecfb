"""One optimiser step, cut into parts that fit the memory and the cores."""

import logging
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mlproject.data.windows import WindowedData
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.optimisers import Gradients, Optimiser
from mlproject.training.plan import Layout
from mlproject.training.settings import TrainingSettings
from mlproject.training.system.threads import BatchThreads

_logger = logging.getLogger(__name__)


class Step(Protocol):
    """A step hides the network, its optimiser and their devices from the training loop."""

    @property
    def data(self) -> WindowedData:
        """The windows and labels that are trained on, on the device of this process."""

    @property
    def settings(self) -> TrainingSettings:
        """The settings of the training."""

    def run(self, ends: Tensor, step: int, learning_rate: float) -> Tensor:
        """Take the `step`-th step (from 0) on the windows that end at the rows `ends` (batch,).

        Returns the mean loss over them before the step, a scalar in nats.
        """

    def predict(self, ends: Tensor) -> Tensor:
        """The logits (len(ends),) of the windows that end at the rows `ends`, without dropout."""

    def save(
        self, file: CheckpointFile, identity: dict[str, Any], progress: dict[str, Any]
    ) -> None:
        """Save what a continued training of this identity needs, `progress` included."""

    def load(self, file: CheckpointFile, identity: dict[str, Any]) -> dict[str, Any] | None:
        """Go on from what was saved under this identity: its progress, None when nothing was."""

    def agree(self, whether: bool) -> bool:
        """The one answer of all processes that train together to what depends on a clock."""


@dataclass(kw_only=True)
class TrainingStep:
    """The step of a training in one process."""

    model: PatchTST
    optimiser: Optimiser
    data: WindowedData
    settings: TrainingSettings
    threads: BatchThreads
    layout: Layout
    """Gets smaller micro-batches when memory runs out."""

    def run(self, ends: Tensor, step: int, learning_rate: float) -> Tensor:
        """As `Step.run`. When memory runs out the step is tried again with half the micro-batch.

        Raises:
            torch.OutOfMemoryError, RuntimeError: one window alone is too much.
        """
        while True:
            try:
                return self._run(ends, step, learning_rate)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error) or self.layout.micro_batch == 1:
                    raise
                self.optimiser.zero_grad()
            smaller = -(-self.layout.micro_batch // 2)
            _logger.warning("out of memory: micro-batches of %d windows from now on", smaller)
            self.layout = replace(self.layout, micro_batch=smaller)

    def _run(self, ends: Tensor, step: int, learning_rate: float) -> Tensor:
        self.optimiser.learning_rate = learning_rate

        def loss_and_gradients(part: tuple[int, Tensor]) -> tuple[Tensor, Gradients]:
            index, part_ends = part
            dropout = Dropout(self.settings.dropout, (self.settings.seed, step, index))
            summed = summed_loss(
                self.model,
                self.data,
                part_ends,
                dropout,
                checkpoint_every=self.layout.checkpoint_every,
            )
            share = summed / len(ends)
            return share.detach(), self.optimiser.backward(share)

        loss = torch.zeros((), device=ends.device)
        parts = ends.split(self.layout.micro_batch)
        for part_loss, gradients in self.threads.map(loss_and_gradients, enumerate(parts)):
            loss += part_loss
            self.optimiser.accumulate(gradients)
        self.optimiser.step()
        return loss

    def predict(self, ends: Tensor) -> Tensor:
        """As the function `predict`, in the layout of the step."""
        return predict(
            self.model, self.data, ends, threads=self.threads, batch=self.layout.micro_batch
        )

    def save(
        self, file: CheckpointFile, identity: dict[str, Any], progress: dict[str, Any]
    ) -> None:
        """As `Step.save`."""
        state = {"model": self.model.state_dict(), "optimiser": self.optimiser.state()}
        file.save(identity, {**state, "progress": progress})

    def load(self, file: CheckpointFile, identity: dict[str, Any]) -> dict[str, Any] | None:
        """As `Step.load`."""
        saved = file.load(identity)
        if saved is None:
            return None
        self.model.load_state_dict(saved["model"])
        self.optimiser.load(saved["optimiser"])
        progress: dict[str, Any] = saved["progress"]
        return progress

    def agree(self, whether: bool) -> bool:
        """As `Step.agree`: this process is alone."""
        return whether


def summed_loss(
    model: PatchTST,
    data: WindowedData,
    ends: Tensor,
    dropout: Dropout,
    *,
    checkpoint_every: int,
) -> Tensor:
    """The loss (nats) of the windows that end at the rows `ends` (part,), summed over them."""
    windows, labels = data.gather(ends)
    logits = model(windows, dropout, checkpoint_every=checkpoint_every)
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")


def predict(
    model: PatchTST,
    data: WindowedData,
    ends: Tensor,
    *,
    threads: BatchThreads | None = None,
    batch: int = 256,
) -> Tensor:
    """The logits (len(ends),) of the windows that end at the rows `ends`, without dropout.

    `batch` windows go through the network together.
    """

    @torch.no_grad()
    def logits(part: Tensor) -> Tensor:
        return model(data.gather(part)[0])

    parts = ends.split(batch)
    return torch.cat(list(threads.map(logits, parts) if threads else map(logits, parts)))


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU allocator raises a plain RuntimeError.
    is_named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_named or "can't allocate memory" in str(error)

"""The step of a training that several processes share: each takes parts of every batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mlproject.data.windows import WindowedData
from mlproject.models.dropout import Dropout
from mlproject.models.patchtst import PatchTST
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.plan import Layout
from mlproject.training.settings import TrainingSettings
from mlproject.training.sharded.network import ShardedAdamW
from mlproject.training.step import summed_loss


@dataclass(frozen=True, kw_only=True)
class ShardedTrainingStep:
    """A `Step` on a network of `build_sharded`, which every process has to take.

    The parts of a batch are those of one process with the same micro-batch, and so are their
    dropout masks on a CPU: process 0 of two takes the parts 0, 2, 4, process 1 the others.
    """

    model: PatchTST
    optimiser: ShardedAdamW
    data: WindowedData
    settings: TrainingSettings
    layout: Layout

    def run(self, ends: Tensor, step: int, learning_rate: float) -> Tensor:
        """As `Step.run`: the mean loss over all windows of the batch, in every process.

        Raises:
            torch.OutOfMemoryError, RuntimeError: out of memory, or another process is gone.
        """
        self.optimiser.learning_rate = learning_rate
        shares = []
        for index, part in self._own_parts(ends):
            summed = summed_loss(
                self.model,
                self.data,
                ends[:1] if part is None else part,
                Dropout(self.settings.dropout, (self.settings.seed, step, index)),
                checkpoint_every=self.layout.checkpoint_every,
            )
            share = summed * 0 if part is None else summed / len(ends)
            self.optimiser.backward(share)
            shares.append(share.detach())
        self.optimiser.step()
        loss = torch.stack(shares).sum()
        dist.all_reduce(loss)
        return loss

    @torch.no_grad()
    def predict(self, ends: Tensor) -> Tensor:
        """As `Step.predict`: the logits of all windows, in every process."""
        logits = torch.zeros(len(ends), device=ends.device)
        parts = logits.split(self.layout.micro_batch)
        for index, part in self._own_parts(ends):
            found = self.model(self.data.gather(ends[:1] if part is None else part)[0])
            if part is not None:
                parts[index].copy_(found)
        dist.all_reduce(logits)
        return logits

    def save(
        self, file: CheckpointFile, identity: dict[str, Any], progress: dict[str, Any]
    ) -> None:
        """As `Step.save`, gathered part by part; the first process writes."""
        parts = self.optimiser.whole_state()
        try:
            if dist.get_rank() == 0:
                file.save_parts(identity, progress, parts)
        finally:
            for _ in parts:  # the others wait for the parts that could not be written too
                pass

    def load(self, file: CheckpointFile, identity: dict[str, Any]) -> dict[str, Any] | None:
        """As `Step.load`; any number of processes may have saved it."""
        with file.load_parts(identity) as saved:
            if saved is None:
                return None
            for name, _ in self.model.named_parameters():
                self.optimiser.load_whole(name, saved.part(name))
            progress: dict[str, Any] = saved.head["progress"]
            return progress

    def agree(self, whether: bool) -> bool:
        """As `Step.agree`: what the first process says, in every process."""
        answer = torch.tensor(whether)
        dist.broadcast(answer, src=0)
        return bool(answer)

    def _own_parts(self, ends: Tensor) -> Iterator[tuple[int, Tensor | None]]:
        """This process's parts, each with its index among all parts of the batch.

        A process that gets one fewer than others gets a None in its stead: it has to go through
        the network as often as they do, with a window that counts nothing.
        """
        parts = ends.split(self.layout.micro_batch)
        for index in range(dist.get_rank(), len(parts) + dist.get_rank(), dist.get_world_size()):
            yield index, parts[index] if index < len(parts) else None

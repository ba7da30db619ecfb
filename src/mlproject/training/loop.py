"""The training loop: steps make epochs, and epochs a result.

It knows no framework but torch, and no device: the step does. Whoever watches (a pruner, a
tracker, a progress bar) is the callback. A training on one device begins in `train`, one on
several in `sharded.train`.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mlproject.errors import UserError
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.epoch_metrics import EpochMetrics, has_exploded
from mlproject.training.market_losses import market_losses
from mlproject.training.progress import BestEpoch, Progress
from mlproject.training.result import StopReason, TrainingResult
from mlproject.training.schedule import (
    epoch_windows,
    learning_rate_factor,
    steps_of_warmup,
    steps_per_epoch,
)
from mlproject.training.scores import block_losses, score
from mlproject.training.step import Step
from mlproject.training.system.peak_memory import PeakMemory

OnEpoch = Callable[[EpochMetrics], bool]
"""Called after each epoch; training stops when it returns True."""

OnStep = Callable[[int, int], None]
"""Called after each step with how many of the epoch's steps are done, and how many there are."""

_logger = logging.getLogger(__name__)


class TrainingDiverged(UserError):
    """The loss of a training that was to give a network exploded or is no number any more."""

    exit_code = 1


def run_training(
    step: Step,
    identity: dict[str, Any],
    on_epoch: OnEpoch,
    *,
    checkpoint: CheckpointFile | None,
    on_step: OnStep | None,
) -> TrainingResult:
    """The result of a training whose network, optimiser and data are behind `step`.

    Where several processes train together, each of them runs this. `identity` is what
    `checkpoint.identity_of` says: only a checkpoint that has the same one is resumed.
    """
    with PeakMemory(step.data.features.device) as memory:
        loop = TrainingLoop(step, identity=identity, checkpoint=checkpoint, on_step=on_step)
        stop_reason = loop.run(on_epoch)
    progress = loop.progress
    best = progress.best
    return TrainingResult(
        stop_reason=stop_reason,
        best_epoch=best.epoch or None,
        best_val_loss=best.val_loss if best.epoch else None,
        best_scores=best.scores,
        market_losses=best.market_losses,
        best_logits=best.logits,
        epochs_run=progress.epoch,
        duration_seconds=progress.seconds,
        samples_per_second=progress.windows / progress.training_seconds,
        peak_memory_bytes=memory.peak_bytes,
    )


class TrainingLoop:
    """One training at work."""

    def __init__(
        self,
        step: Step,
        *,
        identity: dict[str, Any] | None = None,
        checkpoint: CheckpointFile | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self._begun = self._saved = time.perf_counter()
        self._earlier_seconds = 0.0
        self._step = step
        self._data = step.data
        self._settings = step.settings
        self._checkpoint = checkpoint
        self._on_step = on_step
        self._identity = identity or {}
        self._epoch_windows = epoch_windows(len(self._data.train))
        self._steps_per_epoch = steps_per_epoch(
            len(self._data.train),
            batch_size=self._settings.batch_size,
            max_steps=self._settings.max_steps,
        )
        self._total_steps = self._settings.epochs * self._steps_per_epoch
        self._warmup_steps = steps_of_warmup(
            self._total_steps,
            warmup_steps=self._settings.warmup_steps,
            warmup_share=self._settings.recipe.warmup_share,
        )
        self.progress = Progress()

    def run(self, on_epoch: OnEpoch) -> StopReason:
        """Train and validate until there is a reason to stop; its own checkpoint is resumed."""
        self._resume()
        progress, settings = self.progress, self._settings
        for losses in progress.losses:
            if on_epoch(losses):
                return StopReason.STOPPED
        stop_reason = None
        while stop_reason is None and len(progress.losses) < settings.epochs:
            progress.epoch = len(progress.losses) + 1
            stop_reason = self._run_epoch(on_epoch)
            progress.step, progress.loss_sum = 0, 0.0
            # What has ended is not saved as if it went on: resumed, it would.
            if stop_reason is None and self._save_is_due():
                self._save()
        progress.seconds = self._seconds()
        return stop_reason or StopReason.ALL_EPOCHS

    def run_unvalidated(self, epochs: int, on_epoch: Callable[[float], None]) -> None:
        """Train for `epochs` epochs without validation; `on_epoch` hears each training loss.

        Raises:
            TrainingDiverged: the loss of an epoch was no number or had exploded.
        """
        progress = self.progress
        for progress.epoch in range(1, epochs + 1):
            train_loss = self._train_epoch()
            progress.step, progress.loss_sum = 0, 0.0
            if has_exploded(train_loss):
                raise TrainingDiverged(f"the training diverged in epoch {progress.epoch}")
            on_epoch(train_loss)

    def _run_epoch(self, on_epoch: OnEpoch) -> StopReason | None:
        """Train and validate for one epoch; the reason to stop after it, or None."""
        progress, settings, data = self.progress, self._settings, self._data
        train_loss = self._train_epoch()
        logits = self._step.predict(data.validation)
        labels = data.labels[data.validation]
        val_loss = functional.binary_cross_entropy_with_logits(logits, labels).item()
        if has_exploded(train_loss) or has_exploded(val_loss):
            return StopReason.DIVERGED
        if val_loss < progress.best.val_loss:
            progress.best = BestEpoch(
                epoch=progress.epoch,
                val_loss=val_loss,
                scores=score(logits, labels),
                market_losses=market_losses(data, logits) if len(data.markets) > 1 else (),
                logits=tuple(logits.float().tolist()),
            )
        losses = EpochMetrics(
            epoch=progress.epoch,
            train_loss=train_loss,
            val_loss=val_loss,
            val_block_losses=block_losses(logits, labels, data.validation_blocks),
        )
        progress.losses.append(losses)
        if on_epoch(losses):
            return StopReason.STOPPED
        if progress.epoch - progress.best.epoch >= settings.patience_epochs:
            return StopReason.NO_IMPROVEMENT
        return None

    def _train_epoch(self) -> float:
        """Take the rest of the epoch's steps; the mean loss over all of its windows, in nats."""
        progress, batch_size = self.progress, self._settings.batch_size
        batches = self._shuffled().split(batch_size)[: self._steps_per_epoch]
        loss_sum = torch.tensor(progress.loss_sum, device=self._data.features.device)
        for ends in batches[progress.step :]:
            begun = time.perf_counter()
            loss_sum += self._run_step(ends) * len(ends)
            progress.step += 1
            progress.windows += len(ends)
            progress.training_seconds += time.perf_counter() - begun
            if self._on_step is not None:
                said = time.perf_counter()
                self._on_step(progress.step, self._steps_per_epoch)
                self._begun += time.perf_counter() - said  # who hears of it may hold the training
            if self._save_is_due():
                progress.loss_sum = loss_sum.item()
                self._save()
        begun = time.perf_counter()
        total = loss_sum.item()  # a GPU may still be at work on the steps
        progress.training_seconds += time.perf_counter() - begun
        return total / sum(map(len, batches))

    def _shuffled(self) -> Tensor:
        """The end rows of the training windows of this epoch, (windows,), in their order.

        Each pass over the data has an order of its own; an epoch goes on in it where the one
        before ended.
        """
        train, taken = self._data.train, self._epoch_windows
        begun = (self.progress.epoch - 1) * taken
        parts = []
        while taken:
            of_pass, start = divmod(begun, len(train))
            generator = np.random.default_rng((self._settings.seed, of_pass + 1))
            parts.append(generator.permutation(len(train))[start : start + taken])
            begun, taken = begun + len(parts[-1]), taken - len(parts[-1])
        return train[torch.from_numpy(np.concatenate(parts)).to(train.device)]

    def _run_step(self, ends: Tensor) -> Tensor:
        settings = self._settings
        step = (self.progress.epoch - 1) * self._steps_per_epoch + self.progress.step
        factor = learning_rate_factor(
            step, warmup_steps=self._warmup_steps, total_steps=self._total_steps
        )
        return self._step.run(ends, step, settings.learning_rate * factor)

    def _resume(self) -> None:
        if self._checkpoint is None:
            return
        saved = self._step.load(self._checkpoint, self._identity)
        if saved is not None:
            self.progress = Progress.from_dict(saved)
            self._earlier_seconds = self.progress.seconds

    def _seconds(self) -> float:
        return self._earlier_seconds + time.perf_counter() - self._begun

    def _save_is_due(self) -> bool:
        return self._checkpoint is not None and self._step.agree(
            time.perf_counter() - self._saved >= self._checkpoint.save_every_seconds
        )

    def _save(self) -> None:
        """Save the state. A disk that is full costs the checkpoint, not the training."""
        assert self._checkpoint is not None
        self.progress.seconds = self._seconds()
        try:
            self._step.save(self._checkpoint, self._identity, self.progress.as_dict())
        except (OSError, RuntimeError) as error:
            _logger.warning("the checkpoint could not be saved: %s", str(error).splitlines()[0])
        self._saved = time.perf_counter()

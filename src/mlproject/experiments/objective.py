"""One trial: from the sampler's choice to the value Optuna sees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import optuna
import torch

from mlproject.analysis.claims.trial_scores import trial_scores
from mlproject.data.windows import WindowedData
from mlproject.experiments.describe import running_trial
from mlproject.experiments.validation_windows import logits_as_text
from mlproject.search.sampler import may_be_pruned
from mlproject.search.search_space import FIRST_ATTEMPT_ATTR, SearchSpace
from mlproject.search.trial_queue import INTERRUPTED
from mlproject.text.credentials import hide_credentials
from mlproject.tracking.names import (
    IDENTITY_ATTR,
    LOGITS_ATTR,
    MARKET_LOSSES_ATTR,
    METRICS_ATTR,
    Metric,
    Tag,
)
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.checkpoint import CheckpointFile
from mlproject.training.epoch_metrics import EpochMetrics, kept_values
from mlproject.training.plan import TrainingPlan
from mlproject.training.result import StopReason, TrainingResult
from mlproject.training.train import train


class TrialWatcher(Protocol):
    """What hears of a trial as it trains: the trial log, its MLflow run, the progress bar."""

    def add(self, losses: EpochMetrics) -> None:
        """An epoch has ended."""

    def add_step(self, step: int, steps: int) -> None:
        """So many of an epoch's steps are done."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective of a study: the lowest validation loss of a trial."""

    space: SearchSpace
    plan: TrainingPlan
    data: WindowedData
    checkpoints: Path
    """Folder of what trials at work save."""
    prior_loss: float
    watch: Callable[[TrialRun], TrialWatcher]
    """Called when a trial has its params and begins."""
    memory_limit_bytes: int | None = None
    """What this process may hold of its device in all; None where it is alone there."""
    devices: tuple[torch.device, ...] = ()
    """More than one: each trial is trained on all of them. Otherwise on the one of the data."""

    def __call__(self, trial: optuna.Trial) -> float:
        """Run one trial.

        Raises:
            optuna.TrialPruned: the pruner stopped it, or it diverged.
        """
        try:
            return self._run(trial)
        except optuna.TrialPruned:
            raise
        except KeyboardInterrupt:
            trial.set_user_attr(Tag.FAILURE_REASON, INTERRUPTED)
            raise
        except Exception as error:
            trial.set_user_attr(Tag.FAILURE_REASON, _describe(error))
            raise

    def _run(self, trial: optuna.Trial) -> float:
        architecture, settings = self.space.suggest(trial)
        watcher = self.watch(running_trial(trial, self.space))
        epochs: list[EpochMetrics] = []

        def on_epoch(losses: EpochMetrics) -> bool:
            # First the storage, which is the truth; the trial log and MLflow can be mended from it.
            epochs.append(losses)
            for attr, values in kept_values(epochs).items():
                trial.set_user_attr(attr, values)
            trial.report(losses.val_loss, losses.epoch)
            watcher.add(losses)
            return may_be_pruned(self.space.version, losses.epoch) and trial.should_prune()

        first_attempt = trial.user_attrs.get(FIRST_ATTEMPT_ATTR, trial.number)
        checkpoint = CheckpointFile(
            path=self.checkpoints / f"trial_{first_attempt}.pt",
            study=trial.study.user_attrs[IDENTITY_ATTR],
        )
        try:
            result = self._train(
                architecture,
                self.data,
                settings,
                on_epoch,
                plan=self.plan,
                checkpoint=checkpoint,
                on_step=watcher.add_step,
            )
        except Exception:
            checkpoint.remove()
            raise
        checkpoint.remove()
        trial.set_user_attr(METRICS_ATTR, self._metrics(result, epochs))
        diverged = result.stop_reason is StopReason.DIVERGED
        if result.market_losses and not diverged:
            trial.set_user_attr(MARKET_LOSSES_ATTR, list(result.market_losses))
        if result.best_logits and not diverged:
            trial.set_user_attr(LOGITS_ATTR, logits_as_text(result.best_logits))
        if diverged:
            trial.set_user_attr(Tag.DIVERGED, "true")
            raise optuna.TrialPruned(f"It diverged in epoch {result.epochs_run}.")
        if result.stop_reason is StopReason.STOPPED:
            raise optuna.TrialPruned(f"Its validation loss lagged in epoch {result.epochs_run}.")
        assert result.best_val_loss is not None
        return result.best_val_loss

    @property
    def _train(self) -> Callable[..., TrainingResult]:
        if len(self.devices) > 1:
            # torch's distributed tensors take a while to import, and few studies need them.
            from mlproject.training.sharded.train import train_sharded

            return partial(train_sharded, devices=self.devices)
        return partial(train, memory_limit_bytes=self.memory_limit_bytes)

    def _metrics(self, result: TrainingResult, epochs: Sequence[EpochMetrics]) -> dict[str, float]:
        metrics: dict[Metric, float | None] = {
            Metric.PRIOR_LOSS: self.prior_loss,
            Metric.EPOCHS_RUN: result.epochs_run,
            Metric.DURATION_SECONDS: result.duration_seconds,
            Metric.SAMPLES_PER_SECOND: result.samples_per_second,
            Metric.PEAK_MEMORY_BYTES: result.peak_memory_bytes,
        }
        diverged = result.stop_reason is StopReason.DIVERGED
        if result.best_val_loss is not None and result.best_scores is not None and not diverged:
            metrics |= {
                Metric.BEST_VAL_LOSS: result.best_val_loss,
                Metric.SKILL: 1 - result.best_val_loss / self.prior_loss,
                Metric.VAL_AUC: result.best_scores.auc,
                Metric.VAL_AVERAGE_PRECISION: result.best_scores.average_precision,
                Metric.VAL_ACCURACY: result.best_scores.accuracy,
            }
            if result.best_logits:
                metrics |= trial_scores(
                    self.data, result.best_logits, epochs, prior_loss=self.prior_loss
                )
        return {str(name): float(value) for name, value in metrics.items() if value is not None}


def _describe(error: Exception) -> str:
    lines = hide_credentials(str(error)).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

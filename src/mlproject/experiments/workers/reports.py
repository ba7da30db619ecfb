"""What a worker reports of the trial it runs, in this order, Optuna's log lines in between."""

from dataclasses import dataclass
from logging import LogRecord

from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics


@dataclass(frozen=True)
class TrialBegan:
    """The trial has its params and is about to train."""

    trial: TrialRun


@dataclass(frozen=True)
class StepDone:
    """So many of an epoch's steps are done."""

    step: int
    steps: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of the trial has ended."""

    losses: EpochMetrics


@dataclass(frozen=True)
class TrialEnded:
    """Optuna's storage has the trial's outcome."""

    trial_number: int


Report = TrialBegan | StepDone | EpochEnded | TrialEnded | LogRecord

"""A study: launched or resumed by one call, and true in MLflow whatever happens on the way."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from mlflow.exceptions import MlflowException
from optuna.trial import FrozenTrial, TrialState

from mlproject.data.bars import load_bars
from mlproject.data.checks import check_bars
from mlproject.data.windows import WindowedData, build_windows
from mlproject.errors import UserError
from mlproject.experiments.describe import ended_trial
from mlproject.experiments.objective import Objective
from mlproject.experiments.progress import show_progress
from mlproject.experiments.sampler import make_sampler
from mlproject.experiments.search_space import SearchSpace
from mlproject.experiments.settings import StudySettings
from mlproject.experiments.storage import (
    check_unoccupied,
    fail_dead_trials,
    open_study,
    open_study_storage,
    sole_launcher,
    stored_identity,
)
from mlproject.experiments.summary import best_trial, describe_study, summarise_study
from mlproject.experiments.trial_log import open_trial_log, write_missing_lines
from mlproject.experiments.trial_queue import (
    OwedTrial,
    counts_towards_plan,
    enqueue_owed_trials,
    enqueue_supplement,
)
from mlproject.experiments.trial_watch import TrialWatch
from mlproject.models.arch_grid import ArchitectureGrid, architecture_grid
from mlproject.tracking.recorder import bring_up_to_date
from mlproject.tracking.store import (
    Connection,
    TrackingStore,
    first_line,
    open_experiment,
    tracking_errors,
)
from mlproject.tracking.study_run import close_study_run, open_study_run
from mlproject.training.device import select_devices
from mlproject.training.loop import prior_loss
from mlproject.training.memory import MemoryPlan, Workload, plan_memory
from mlproject.training.plan import OptimiserName, Precision, TrainingPlan

MAX_FAILURES_IN_A_ROW = 5

_logger = logging.getLogger(__name__)


class StudyFailing(UserError):
    """Trial after trial raises an error: the study stops before it wastes more."""

    exit_code = 1


class TrackingBehind(UserError):
    """The trials are safe, but MLflow could not be given all of them."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """How a study stands when its launch ends."""

    study_name: str
    parent_run_id: str
    finished: int
    """Trials that are complete or pruned, supplementary ones left out."""
    best_trial: FrozenTrial | None
    trial_log: Path


def run_study(
    settings: StudySettings,
    connection: Connection,
    *,
    data_source: str = "sp500",
    storage_url: str | None = None,
    device: str = "auto",
    supplement: Sequence[OwedTrial] | None = None,
) -> StudyOutcome:
    """Launch the study, or resume it, until `settings.n_trials` of its trials have finished.

    With a `supplement`, run those forced trials instead, on top of `settings.n_trials`.

    Everything that can be wrong with the input is found before anything is written.

    Raises:
        UserError: one of its kinds: input that cannot be used, a storage that holds another
            study, a study that another process runs, trials that keep failing, or an MLflow
            that was away when the study ended.
    """
    devices = select_devices(device)
    bars = load_bars(data_source)
    check_bars(bars)
    data = build_windows(
        bars,
        horizon_days=settings.horizon_days,
        task=settings.task,
        label_price=settings.label_price,
    )
    grid = architecture_grid(settings.budget, data.n_features, settings.grid_version)
    space = SearchSpace(grid, settings)
    # What fits in no way is refused before the storage makes a file; what the study began with
    # never needs less.
    _plan(settings, grid, devices, stored={})
    storage = open_study_storage(storage_url, settings.study_name, connection.directory)
    plan = _plan(settings, grid, devices, stored=stored_identity(storage))
    identity = settings.identity(bars, data.n_features, plan.training)
    check_unoccupied(storage, identity)
    print(plan.as_text(), flush=True)
    trial_log = connection.directory / "trial_logs" / f"{settings.study_name}.log"
    with sole_launcher(storage, connection.directory), open_trial_log(trial_log):
        with tracking_errors(connection.uri):
            store = open_experiment(connection)
            parent_run_id = open_study_run(store, settings.study_name)
            describe_study(store, parent_run_id, space, bars=bars, data=data, identity=identity)
            store.client.log_text(parent_run_id, plan.as_text(), "memory_plan.txt")
        study = open_study(storage, identity)
        fail_dead_trials(study, storage)
        launch = Launch(
            store=store,
            parent_run_id=parent_run_id,
            study=study,
            space=space,
            plan=plan.training,
            trial_log=trial_log,
            checkpoints=connection.directory / "checkpoints" / settings.study_name,
            supplement=supplement,
            devices=devices,
        )
        return launch.run(data.to(devices[0]))


def _plan(
    settings: StudySettings,
    grid: ArchitectureGrid,
    devices: Sequence[torch.device],
    *,
    stored: Mapping[str, str | int],
) -> MemoryPlan:
    """The study's plan: as the user asks, else as the study began, else as memory allows."""
    optimiser, precision = settings.optimiser, settings.precision
    if stored:
        optimiser = optimiser or OptimiserName(str(stored["optimiser"]))
        precision = precision or Precision(str(stored["precision"]))
    workload = Workload.on(devices, n_features=grid.num_features, batch_size=settings.batch_size)
    return plan_memory(grid.architectures, workload, optimiser=optimiser, precision=precision)


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One launch of a study."""

    store: TrackingStore
    parent_run_id: str
    study: optuna.Study
    space: SearchSpace
    plan: TrainingPlan
    trial_log: Path
    checkpoints: Path
    """Folder of what trials at work save."""
    supplement: Sequence[OwedTrial] | None = None
    """Forced trials to run instead of the search; None launches the search."""
    devices: tuple[torch.device, ...] = ()
    """More than one: each trial is trained on all of them."""

    def run(self, data: WindowedData) -> StudyOutcome:
        """Run the trials that are missing; leave MLflow and the trial log true in any case."""
        self._bring_up_to_date()
        status = "FAILED"
        try:
            self._run_trials(data)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            behind = self._conclude(status)
        if behind is not None:
            raise TrackingBehind(
                f"study {self.study.study_name} is finished, but MLflow does not take its runs "
                f"({behind}): start the tracking server and run the same command again"
            )
        return StudyOutcome(
            study_name=self.study.study_name,
            parent_run_id=self.parent_run_id,
            finished=self._finished(),
            best_trial=best_trial(self._trials()),
            trial_log=self.trial_log,
        )

    def _conclude(self, status: str) -> str | None:
        """Bring everything up to date and end the parent; return why MLflow could not, if so."""
        behind = self._bring_up_to_date()
        if behind is None:
            trials = self._trials()
            try:
                summarise_study(self.store, self.parent_run_id, self.space, trials, self.trial_log)
                close_study_run(self.store, self.parent_run_id, status)
            except MlflowException as error:
                behind = first_line(error)
        return behind

    def _run_trials(self, data: WindowedData) -> None:
        failures_in_a_row = 0
        n_trials = self.space.settings.n_trials
        with show_progress(self.study, finished=self._finished(), n_trials=n_trials) as progress:
            watch = TrialWatch(self.store, self.parent_run_id, self.space, progress)
            objective = Objective(
                space=self.space,
                plan=self.plan,
                data=data,
                checkpoints=self.checkpoints,
                prior_loss=prior_loss(data.labels[data.validation], data.base_rate),
                watch=watch.begin,
                devices=self.devices,
            )
            if self.supplement is not None:
                enqueue_supplement(self.study, self.space, self.supplement)
            while self._next_is_due():
                begun = sum(trial.state is not TrialState.WAITING for trial in self._trials())
                self.study.sampler = make_sampler(self.space.settings.seed, begun)
                self.study.optimize(
                    objective, n_trials=1, catch=(Exception,), callbacks=[watch.end]
                )
                progress.finish(self._finished())
                failures_in_a_row = failures_in_a_row + 1 if watch.failure else 0
                if failures_in_a_row == MAX_FAILURES_IN_A_ROW:
                    raise StudyFailing(
                        f"study {self.study.study_name} stops: {failures_in_a_row} trials in a row "
                        f"failed, the last one with {watch.failure}: mend the cause and run the "
                        "same command again"
                    )

    def _next_is_due(self) -> bool:
        """Whether a trial is to be run; a search has enqueued what it owes first."""
        if self.supplement is not None:
            return any(trial.state is TrialState.WAITING for trial in self._trials())
        if self._finished() >= self.space.settings.n_trials:
            return False
        enqueue_owed_trials(self.study, self.space)
        return True

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _finished(self) -> int:
        return sum(counts_towards_plan(trial) for trial in self._trials())

    def _bring_up_to_date(self) -> str | None:
        """Complete the trial log and MLflow; return why MLflow could not be, if it could not."""
        ended = [
            ended_trial(trial, self.space)
            for trial in self._trials()
            if trial.state.is_finished() and trial.datetime_start is not None
        ]
        write_missing_lines(self.trial_log, ended)
        try:
            bring_up_to_date(self.store, self.parent_run_id, ended)
        except MlflowException as error:
            _logger.warning("MLflow could not be brought up to date: %s", first_line(error))
            return first_line(error)
        return None

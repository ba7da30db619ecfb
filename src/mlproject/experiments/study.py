"""A study: launched or resumed by one call, and true in MLflow whatever happens on the way."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from mlflow.exceptions import MlflowException
from optuna.trial import FrozenTrial

from mlproject.data.bars import load_bars
from mlproject.data.checks import check_bars
from mlproject.data.windows import build_windows
from mlproject.errors import UserError
from mlproject.experiments.describe import ended_trial
from mlproject.experiments.progress import show_progress
from mlproject.experiments.storage import (
    StudyStorage,
    begun_identity,
    check_unoccupied,
    fail_dead_trials,
    open_study,
    open_study_storage,
    sole_launcher,
    storage_errors,
)
from mlproject.experiments.summary.parent_run import best_trial, describe_study, summarise_study
from mlproject.experiments.trial_context import TrialWork
from mlproject.experiments.trial_log import open_trial_log, write_missing_lines
from mlproject.experiments.trial_watch import StudyWatch
from mlproject.experiments.workers import Workers, open_workers
from mlproject.experiments.workers.settings import ALONE, WorkerSettings
from mlproject.search.remaining_trials import RemainingTrials
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.search.trial_queue import OwedTrial, finished_trials
from mlproject.tracking.live_tracking import (
    INTERRUPTED_PATIENCE_SECONDS,
    LiveTracking,
    patience_seconds,
)
from mlproject.tracking.store import (
    Connection,
    TrackingStore,
    first_line,
    open_experiment,
    tracking_errors,
)
from mlproject.tracking.study_run import close_study_run, open_study_run
from mlproject.tracking.trial_run import TrialRun

_logger = logging.getLogger(__name__)


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
    columns: Mapping[str, str] | None = None,
    storage_url: str | None = None,
    device: str = "auto",
    workers: WorkerSettings = ALONE,
    supplement: Sequence[OwedTrial] | None = None,
) -> StudyOutcome:
    """Launch the study, or resume it, until `settings.n_trials` of its trials have finished.

    With a `supplement`, run those forced trials instead, on top of `settings.n_trials`.
    `columns` says which column of the data is which, where its names do not (see `load_bars`).

    Everything that can be wrong with the input is found before anything is written.

    Raises:
        UserError: one of its kinds: input that cannot be used, a storage that holds another
            study, a study that another process runs, trials that keep failing, workers that
            cannot be had, or an MLflow that was away when the study ended.
    """
    bars = load_bars(data_source, columns)
    print(f"source shape: {bars.source_shape}", flush=True)
    check_bars(bars)
    data = build_windows(
        bars,
        horizon_days=settings.horizon_days,
        task=settings.task,
        label_price=settings.label_price,
    )
    begun = begun_identity(storage_url, settings.study_name, connection.directory)
    space = SearchSpace.of(settings.as_begun(begun), data.n_features)
    with open_workers(workers, device) as crew:
        plan = crew.plan(space)  # what fits in no way is refused before a storage is made
        storage = open_study_storage(storage_url, settings.study_name, connection.directory)
        identity = space.settings.identity(bars, data.n_features, plan.training)
        check_unoccupied(storage, identity)
        plan_text = f"{crew.as_text()}{plan.as_text()}"
        print(plan_text, flush=True)
        trial_log = connection.directory / "trial_logs" / f"{settings.study_name}.log"
        with (
            sole_launcher(storage, connection.directory),
            storage_errors(storage),
            open_trial_log(trial_log),
        ):
            with tracking_errors(connection.uri):
                store = open_experiment(connection)
                parent_run_id = open_study_run(store, settings.study_name)
                describe_study(store, parent_run_id, space, bars=bars, data=data, identity=identity)
                store.client.log_text(parent_run_id, plan_text, "memory_plan.txt")
            study = open_study(storage, identity)
            fail_dead_trials(study, storage)
            launch = Launch(
                store=store,
                parent_run_id=parent_run_id,
                storage=storage,
                study=study,
                work=TrialWork(
                    space=space,
                    plan=plan.training,
                    data=data,
                    checkpoints=connection.directory / "checkpoints" / settings.study_name,
                ),
                workers=crew,
                trial_log=trial_log,
                supplement=supplement,
            )
            return launch.run()


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One launch of a study."""

    store: TrackingStore
    parent_run_id: str
    storage: StudyStorage
    study: optuna.Study
    work: TrialWork
    workers: Workers
    trial_log: Path
    supplement: Sequence[OwedTrial] | None = None
    """Forced trials to run instead of the search; None launches the search."""

    def run(self) -> StudyOutcome:
        """Run the trials that are missing; leave MLflow and the trial log true in any case."""
        write_missing_lines(self.trial_log, self._ended_trials())
        tracking = LiveTracking(self.store, self.parent_run_id, self._ended_trials)
        status = "FAILED"
        try:
            self._run_trials(tracking)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            behind = self._conclude(status, tracking)
        if behind is not None:
            raise TrackingBehind(
                f"study {self.study.study_name} is finished, but {behind} and run the same "
                f"command again; everything is in {self.trial_log} and in the study's storage"
            )
        return StudyOutcome(
            study_name=self.study.study_name,
            parent_run_id=self.parent_run_id,
            finished=finished_trials(self.study),
            best_trial=best_trial(self._trials()),
            trial_log=self.trial_log,
        )

    def _conclude(self, status: str, tracking: LiveTracking) -> str | None:
        """Bring everything up to date and end the parent; say what MLflow did not take, if so."""
        write_missing_lines(self.trial_log, self._ended_trials())
        interrupted = status == "KILLED"
        left = tracking.finish(INTERRUPTED_PATIENCE_SECONDS if interrupted else patience_seconds())
        behind = left.as_text()
        if left.outage is None:
            trials = self._trials()
            try:
                summarise_study(self.store, self.parent_run_id, self.space, trials, self.trial_log)
                close_study_run(self.store, self.parent_run_id, status)
            except MlflowException as error:
                behind = f"MLflow does not take its summary ({first_line(error)}): start the server"
        if behind is not None and status != "FINISHED":
            _logger.warning("%s and run the same command again", behind)
        return behind

    def _run_trials(self, tracking: LiveTracking) -> None:
        finished, n_trials = finished_trials(self.study), self.space.settings.n_trials
        with show_progress(self.study, finished=finished, n_trials=n_trials) as progress:
            watch = StudyWatch(tracking, self.space, progress)
            remaining = RemainingTrials(self.study, self.space, self.supplement)
            self.workers.run_trials(self.work, remaining, watch, self.storage)

    @property
    def space(self) -> SearchSpace:
        """What the study searches."""
        return self.work.space

    def _trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _ended_trials(self) -> list[TrialRun]:
        return [
            ended_trial(trial, self.space)
            for trial in self._trials()
            if trial.state.is_finished() and trial.datetime_start is not None
        ]

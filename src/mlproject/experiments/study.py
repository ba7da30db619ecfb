"""A study: launched or resumed by one call, and true in MLflow whatever happens on the way."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import optuna
import pandas as pd
import torch
from optuna.trial import FrozenTrial

from mlproject.analysis.claims.references import References
from mlproject.analysis.claims.verdicts import claims_of
from mlproject.analysis.summary.note import study_note
from mlproject.analysis.summary.parent_run import summarise_study
from mlproject.data.bars import Bars
from mlproject.data.load_markets import checked_markets
from mlproject.data.market_table import remarks, what_data_tells
from mlproject.data.markets import Markets
from mlproject.data.windows import build_windows
from mlproject.errors import UserError, is_interruption
from mlproject.experiments.control.commands import Command
from mlproject.experiments.control.listener import listening
from mlproject.experiments.control.planned_trials import keep_planned_trials, planned_trials
from mlproject.experiments.control.steering import SteeredTrials, Steering
from mlproject.experiments.describe import any_trial, ended_trial
from mlproject.experiments.forecast import Forecast, Speed
from mlproject.experiments.known_trials import check_known
from mlproject.experiments.market_validation import market_validation
from mlproject.experiments.own_best import own_best
from mlproject.experiments.progress import Progress, show_progress
from mlproject.experiments.smaller_studies import warm_start
from mlproject.experiments.storage import (
    StudyStorage,
    begun_identity,
    check_unoccupied,
    fail_dead_trials,
    find_study_storage,
    open_study,
    open_study_storage,
    storage_errors,
    study_lock,
    study_trials,
)
from mlproject.experiments.study_description import describe_study
from mlproject.experiments.study_files import study_files
from mlproject.experiments.study_note import begin_note, note_of_study
from mlproject.experiments.trial_context import TrialContext
from mlproject.experiments.trial_log import open_trial_log, write_missing_lines
from mlproject.experiments.trial_watch import StudyWatch
from mlproject.experiments.workers import Workers, open_workers
from mlproject.experiments.workers.settings import WorkerSettings
from mlproject.search.recommendation import ArchitectureEstimate, rank_architectures
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.search.tracked_settings import connect_for_study, settings_as_tracked
from mlproject.search.trial_queue import QueuedTrial, best_trial, finished_trials, own_trials
from mlproject.text.credentials import first_line
from mlproject.tracking.artifacts import log_text
from mlproject.tracking.errors import MlflowError, is_of_deleted, tracking_errors
from mlproject.tracking.live_tracking import (
    INTERRUPTED_PATIENCE_SECONDS,
    LiveTracking,
    patience_seconds,
)
from mlproject.tracking.names import PLANNED_TRIALS_TAG, Tag
from mlproject.tracking.store import TrackingStore, open_experiment
from mlproject.tracking.study_run import (
    end_launch,
    launch_run_closed,
    log_study_values,
    open_study_run,
    study_run_closed,
)
from mlproject.tracking.system_metrics import system_metrics
from mlproject.tracking.tracked_studies import recovered_trials
from mlproject.tracking.trial_run import TrialRun
from mlproject.tracking.ui_links import StudyLinks, study_links

_logger = logging.getLogger(__name__)


class WritesPending(UserError):
    """MLflow could not be given all trials of the study, which are safe in its storage."""

    exit_code = 3


@dataclass(frozen=True, kw_only=True)
class StudyOutcome:
    """How a study stands when its launch ends."""

    study_name: str
    parent_run_id: str
    finished: int
    """Trials that are complete or pruned, supplementary ones left out."""
    recommended: ArchitectureEstimate | None
    """The architecture of the lowest estimate; None while no trial has a loss."""
    best_trial: FrozenTrial | None
    """The one with the lowest loss: the luckiest, not the best."""
    trial_log: Path
    links: StudyLinks | None
    """Where it is seen in MLflow's UI; None where MLflow did not say."""
    was_stopped: bool = False
    """Its user stopped it in MLflow before all trials had finished."""


def run_study(
    settings: StudySettings,
    *,
    data: Markets | Bars | str = "sp500",
    storage: str | None = None,
    device: str = "auto",
    workers: WorkerSettings | int = 1,
    tracking_uri: str | None = None,
    progress: Callable[[str], object] = _logger.info,
) -> StudyOutcome:
    """Launch the study, or resume it, until `settings.n_trials` of its trials have finished.

    Everything that can be wrong with the input is found before anything is written.

    >>> from mlproject import StudySettings, run_study
    >>> settings = StudySettings.parse(
    ...     "100k", horizon=3, n_trials=2, max_epochs=1, max_steps=1
    ... )
    >>> outcome = run_study(settings, device="cpu")
    >>> outcome.study_name, outcome.finished
    ('phase6a_100k_h3_threshold_1pct', 2)
    >>> sorted(outcome.best_trial.params)[:3]
    ['dropout', 'epochs', 'learning_rate']

    Args:
        settings: what makes the study the one it is, and how many trials it has.
        data: markets or bars, or where they come from, see `load_markets`.
        storage: Optuna storage URL; by default that of the environment variable MLPROJECT_STORAGE,
            else ``optuna.db`` beside MLflow's file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``cuda:0,cuda:1`` trains each
            trial on both.
        workers: trials at a time; more than 1 run through Ray.
        tracking_uri: MLflow's store; by default that of MLFLOW_TRACKING_URI, else ``mlflow.db`` in
            the working directory.
        progress: is given what there is to say before the first trial (what was understood of the
            bars' files, what they can tell, the memory plan), and after a few steps how long the
            study will take.

    Raises:
        UserError: one of its kinds: input that cannot be used, a storage that holds another
            study, a study that another process runs, trials that keep failing, workers that
            cannot be had, or an MLflow that was away when the study ended.
    """
    return run_study_in(
        connect_for_study(settings, tracking_uri),
        settings,
        data=data,
        storage_url=storage,
        device=device,
        workers=workers,
        progress=progress,
    )


def run_study_in(
    store: TrackingStore,
    settings: StudySettings,
    *,
    data: Markets | Bars | str,
    storage_url: str | None,
    device: str,
    workers: WorkerSettings | int,
    progress: Callable[[str], object],
    supplement: Sequence[QueuedTrial] | None = None,
) -> StudyOutcome:
    """As `run_study`; with a `supplement` those forced trials, on top of `settings.n_trials`."""
    if isinstance(workers, int):
        workers = WorkerSettings(workers=workers)
    with ExitStack() as unused:
        unused.enter_context(launch_run_closed(store))
        markets = checked_markets(data)
        progress(f"source shape: {markets.source_shape}")
        settings = settings_as_tracked(settings, store)
        files = study_files(store, storage_url, settings.study_name)
        where = (files.storage_url, settings.study_name, files.folder)
        progress(files.as_text())
        found = find_study_storage(*where)
        settings = settings.as_begun(begun_identity(found))
        asked_trials = settings.n_trials
        settings = replace(settings, n_trials=planned_trials(found, asked_trials))
        if settings.n_trials != asked_trials:
            progress(
                f"n_trials: {settings.n_trials}, as asked in MLflow, instead of {asked_trials}"
            )
        windows = build_windows(
            markets,
            horizon_days=settings.horizon_days,
            task=settings.task,
            label_price=settings.label_price,
            validation_thinning=settings.validation_thinning,
        )
        for line in (*remarks(markets, windows), what_data_tells(windows)):
            progress(line)
        space = SearchSpace.of(settings, windows.n_features)
        with open_workers(workers, device) as crew:
            plan = crew.plan(space)  # what fits in no way is refused before a storage is made
            check_known(store, files, partial(_all_trials, where, space))
            files.make_folder()
            storage = found or open_study_storage(*where)
            identity = space.settings.identity(markets, windows.n_features, plan.training)
            check_unoccupied(storage, identity)
            is_asked = settings.warm_start and supplement is None
            warm = warm_start(storage, identity, space, is_asked=is_asked)
            if warm is not None:
                progress(f"warm start: {warm.as_text()}")
            plan_text = f"{crew.as_text()}{plan.as_text()}"
            progress(plan_text)
            speed = crew.speed(space, plan)
            references = References.of(markets, windows)
            with (
                study_lock(storage, files.folder),
                storage_errors(storage),
                open_trial_log(files.trial_log),
            ):
                with tracking_errors(store.uri):
                    store = open_experiment(store)
                    parent_run_id = open_study_run(store, settings.study_name)
                unused.pop_all()
                with study_run_closed(store, parent_run_id):
                    with tracking_errors(store.uri):
                        describe_study(
                            store,
                            parent_run_id,
                            space,
                            markets=markets,
                            data=windows,
                            identity=identity,
                            files=files,
                            warm=warm,
                        )
                        log_text(store, parent_run_id, plan_text, "memory_plan.txt")
                        begin_note(store, parent_run_id, settings.study_name)
                    study = open_study(storage, identity, warm)
                    fail_dead_trials(study, storage)
                    _say_added_trials(study)
                launch = StudyLaunch(
                    store=store,
                    parent_run_id=parent_run_id,
                    storage=storage,
                    study=study,
                    context=TrialContext(
                        space=space,
                        plan=plan.training,
                        data=windows,
                        checkpoints=files.checkpoints,
                    ),
                    workers=crew,
                    speed=speed,
                    progress=progress,
                    trial_log=files.trial_log,
                    references=references,
                    supplement=supplement,
                    asked_trials=asked_trials,
                    steering=Steering(settings.n_trials, holds_steps=crew.train_here),
                )
                return launch.run()


def _all_trials(where: tuple[str, str, Path], space: SearchSpace) -> list[TrialRun]:
    """The trials of a study's storage, in any state; none where it has not begun there."""
    storage = find_study_storage(*where)  # another launcher may have made it meanwhile
    if storage is None:
        return []
    found = (any_trial(trial, space) for trial in study_trials(storage))
    return [trial for trial in found if trial is not None]


def _say_added_trials(study: optuna.Study) -> None:
    trials = study.get_trials(deepcopy=False)
    own = {trial.number for trial in own_trials(trials)}
    added = [str(trial.number) for trial in trials if trial.number not in own]
    if added:
        _logger.warning(
            "trials %s were added to the storage by hand: they do not count towards the trials of "
            "the study, are never its best, and are not written to MLflow",
            ", ".join(added),
        )


@dataclass(frozen=True, kw_only=True)
class StudyLaunch:
    """One launch of a study."""

    store: TrackingStore
    parent_run_id: str
    storage: StudyStorage
    study: optuna.Study
    context: TrialContext
    workers: Workers
    speed: Speed
    """Of the workers."""
    progress: Callable[[str], object]
    """Is given the time left, as soon as it is known."""
    trial_log: Path
    references: References
    """What the trials are compared with."""
    asked_trials: int
    """How many trials the launch was asked for, whatever was asked in MLflow since."""
    steering: Steering
    supplement: Sequence[QueuedTrial] | None = None
    """Forced trials to run instead of the search; None launches the search."""

    def run(self) -> StudyOutcome:
        """Run the trials that are missing; leave MLflow and the trial log true in any case."""
        status, patience = "FAILED", patience_seconds()
        tracking = LiveTracking(self.store, self.parent_run_id, self._ended_trials)
        try:
            write_missing_lines(self.trial_log, self._ended_trials())
            was_stopped = self._run_trials(tracking)
            status = "KILLED" if was_stopped else "FINISHED"
        except BaseException as error:
            if not is_interruption(error):
                raise
            status, patience = "KILLED", INTERRUPTED_PATIENCE_SECONDS
            raise KeyboardInterrupt from error
        finally:
            pending = self._conclude(status, tracking, patience)
        if pending is not None:
            how = "stopped" if was_stopped else "finished"
            raise WritesPending(
                f"study {self.study.study_name} is {how}, but {pending} and run the same "
                f"command again; everything is in {self.trial_log} and in the study's storage"
            )
        return StudyOutcome(
            study_name=self.study.study_name,
            parent_run_id=self.parent_run_id,
            finished=finished_trials(self.study),
            recommended=next(iter(self._ranking), None),
            best_trial=best_trial(self.study),
            trial_log=self.trial_log,
            links=self._links(),
            was_stopped=was_stopped,
        )

    def _links(self) -> StudyLinks | None:
        try:
            return study_links(self.store, self.study.study_name)
        except MlflowError:  # it has all that matters
            return None

    def _conclude(self, status: str, tracking: LiveTracking, patience: float) -> str | None:
        """Bring everything up to date and end the parent; say what MLflow did not take, if so.

        After an interruption the parent is ended before it is described: who interrupts may end
        this process for good next.
        """
        write_missing_lines(self.trial_log, self._ended_trials())
        left = tracking.finish(patience)
        pending = left.as_text()
        if left.was_interrupted:
            status = "KILLED"
        if left.outage is None:
            try:
                if status != "FINISHED":
                    end_launch(self.store, self.parent_run_id, status)
                if not left.was_interrupted:
                    self._summarise()
                if status == "FINISHED":
                    end_launch(self.store, self.parent_run_id, status)
            except KeyboardInterrupt:
                end_launch(self.store, self.parent_run_id, "KILLED")
                raise
            except MlflowError as error:
                deleted = "restore in MLflow what was deleted there"
                advice = deleted if is_of_deleted(error) else "start the server"
                pending = f"MLflow does not take its summary ({first_line(error)}): {advice}"
        if pending is not None and status != "FINISHED":
            _logger.warning("%s and run the same command again", pending)
        if left.was_interrupted:
            raise KeyboardInterrupt
        return pending

    def _run_trials(self, tracking: LiveTracking) -> bool:
        """Run what remains; return whether trials are missing because the user stopped it."""
        finished, n_trials = finished_trials(self.study), self.steering.n_trials
        remaining = SteeredTrials(self.study, self.space, self.supplement, self.steering)
        with (
            own_best(self.study),
            show_progress(self.study, finished=finished, n_trials=n_trials) as progress,
            listening(self.store, self.parent_run_id, partial(self._obey, progress)),
            system_metrics(
                self.store,
                tracking.runs_in_progress,
                has_gpu=torch.cuda.is_available(),
                is_here=self.workers.are_here,
            ),
        ):
            forecast = Forecast(
                remaining,
                self.space,
                self.context.epoch_shape,
                self.speed,
                say=partial(progress.say, printed=self.progress),
                tell=tracking.tell_study,
            )
            forecast.open()
            watch = StudyWatch(
                tracking,
                self.context,
                progress,
                forecast,
                self.steering.at_step,
            )
            self.workers.run_trials(self.context, remaining, watch, self.storage)
            if not remaining.is_cut_short:
                forecast.close()
        return remaining.is_cut_short

    def _obey(self, progress: Progress, command: Command) -> str:
        """Do what the user asks in MLflow, and say what that means; called by another thread."""
        if command.n_trials is not None:
            if self.supplement is not None:
                return "not obeyed, because a supplement runs the trials that it began with"
            keep_planned_trials(self.study, command.n_trials, instead_of=self.asked_trials)
            tags = {PLANNED_TRIALS_TAG: str(command.n_trials)}
            log_study_values(self.store, self.parent_run_id, metrics={}, tags=tags)
            progress.plan(command.n_trials)
        return self.steering.obey(command)

    @property
    def space(self) -> SearchSpace:
        """What the study searches."""
        return self.context.space

    def _summarise(self) -> None:
        """Show the trials of the study's storage, and before them those that logs tell of."""
        ended = self._ended_trials()
        settings = replace(self.space.settings, n_trials=self.steering.n_trials)
        summarise_study(
            self.store,
            self.parent_run_id,
            self.study.study_name,
            [*recovered_trials(self.store, self.parent_run_id), *ended],
            note=lambda *found: self._note(study_note(settings, *found)),
            claims=partial(claims_of, ended, self.references),
            ranking=lambda: self._ranking,
            trial_log=self.trial_log,
            tables=self._tables(),
        )

    def _note(self, text: str) -> str:
        return note_of_study(self.store, self.parent_run_id, self.study.study_name, text)

    @cached_property
    def _ranking(self) -> list[ArchitectureEstimate]:
        """As the trials stand when the launch ends: nothing asks for it before.

        The few forced trials that supplement what another program searched are no search: of them
        alone none is recommended.
        """
        trials = own_trials(self.study.get_trials(deepcopy=False))
        if all(Tag.SUPPLEMENT in trial.user_attrs for trial in trials):
            return []
        return rank_architectures(trials, self.space)

    def _tables(self) -> dict[str, Callable[[], pd.DataFrame]]:
        if len(self.context.data.markets) == 1:
            return {}
        trials = self.study.get_trials(deepcopy=False)
        return {"validation_by_market.csv": partial(market_validation, trials, self.context.data)}

    def _ended_trials(self) -> list[TrialRun]:
        return [
            ended_trial(trial, self.space, self.context.data)
            for trial in own_trials(self.study.get_trials(deepcopy=False))
            if trial.state.is_finished() and trial.datetime_start is not None
        ]

"""All studies of an experiment as MLflow holds them: one paged search, nothing written.

Live and recovered runs are read alike, into the `TrialRun` that both were written from. Runs that
are no study's, no trial's and no analysis's are somebody else's: left out and counted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mlflow.entities import Run

from mlproject.tracking.artifacts import read_text
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.names import (
    ANALYSIS_TAG,
    ARCHITECTURES_FILE,
    PARENT_RUN_ID_TAG,
    REAL_PARAMS,
    RECOMMENDED_TRIAL_TAG,
    TRIAL_IDENTITY_TAG,
    WHOLE_PARAMS,
    Metric,
    Origin,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import child_runs
from mlproject.tracking.trial_run import TrialRun
from mlproject.tracking.whose_run import is_parent, rank_parents
from mlproject.training.epoch_metrics import restore_epochs

_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class TrackedTrial:
    """A trial as MLflow holds it."""

    run_id: str
    status: str
    """MLflow's own status of the run."""
    trial: TrialRun
    """Without epochs, whose history takes a call per run; see `with_validation_losses`."""
    unreadable: Mapping[Param, str]
    """Params whose text is no value of theirs, such as ``None``; absent from ``trial.params``."""


@dataclass(frozen=True, kw_only=True)
class TrackedStudy:
    """A study's parent run and its trials, by number and start."""

    study_name: str
    run_id: str
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """As its last launch left them."""
    tags: Mapping[str, str]
    trials: tuple[TrackedTrial, ...]
    architectures: str | None = None
    """The text of its `ARCHITECTURES_FILE`; None where it has none, or before it is read."""


@dataclass(frozen=True, kw_only=True)
class TrackedExperiment:
    """All that an experiment holds."""

    name: str
    studies: tuple[TrackedStudy, ...]
    """By name."""
    foreign_runs: int
    """Runs of other shapes, left out."""


def read_studies(store: TrackingStore) -> TrackedExperiment:
    """Read every study of the experiment.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        return _sort(store.experiment_name, _all_runs(store))


def ranked_trials(trials: Iterable[TrackedTrial]) -> list[TrackedTrial]:
    """Sort the complete trials that did not diverge by validation loss, the lowest first."""
    sound = [each for each in trials if each.trial.has_result and not each.trial.has_diverged]
    return sorted(sound, key=lambda each: each.trial.metrics[Metric.BEST_VAL_LOSS])


def study_trials(store: TrackingStore, parent_run_id: str) -> list[TrialRun]:
    """Read the trials of a study without their epochs, by number and start."""
    return _trials(child_runs(store, parent_run_id))


def recovered_trials(store: TrackingStore, parent_run_id: str) -> list[TrialRun]:
    """Read those of a study's trials that a log alone tells of."""
    return _trials(child_runs(store, parent_run_id, f"tags.{Tag.ORIGIN} = '{Origin.LOG}'"))


def validation_losses(store: TrackingStore, run_id: str) -> dict[int, float]:
    """Read the validation loss of each epoch of a trial's run; none where no source said it.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        history = store.client.get_metric_history(run_id, Metric.VAL_LOSS)
    return {each.step: each.value for each in history}


def with_validation_losses(
    store: TrackingStore, experiment: TrackedExperiment
) -> TrackedExperiment:
    """Read the epochs of all finished trials too, by their validation losses: a call for each trial
    that has any.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    studies = [
        replace(study, trials=tuple(_with_epochs(store, trial) for trial in study.trials))
        for study in experiment.studies
    ]
    return replace(experiment, studies=tuple(studies))


def with_architectures(store: TrackingStore, experiment: TrackedExperiment) -> TrackedExperiment:
    """Read the table of architectures of each study that recommends one: a file for each."""
    studies = [
        replace(study, architectures=read_text(store, study.run_id, ARCHITECTURES_FILE))
        if RECOMMENDED_TRIAL_TAG in study.tags
        else study
        for study in experiment.studies
    ]
    return replace(experiment, studies=tuple(studies))


def _with_epochs(store: TrackingStore, trial: TrackedTrial) -> TrackedTrial:
    if not trial.trial.is_finished or Metric.VAL_LOSS not in trial.trial.metrics:
        return trial
    losses = validation_losses(store, trial.run_id)
    return replace(trial, trial=replace(trial.trial, epochs=restore_epochs({}, losses)))


def _sort(experiment_name: str, runs: Iterable[Run]) -> TrackedExperiment:
    parents: list[Run] = []
    children: dict[str, list[Run]] = {}
    foreign = 0
    for run in runs:
        tags = run.data.tags
        if is_parent(run):
            parents.append(run)
        elif PARENT_RUN_ID_TAG in tags:
            children.setdefault(tags[PARENT_RUN_ID_TAG], []).append(run)
        elif ANALYSIS_TAG not in tags:
            foreign += 1
    by_name: dict[str, list[Run]] = {}
    for parent in parents:
        by_name.setdefault(parent.data.tags[Tag.STUDY_NAME], []).append(parent)
    studies = []
    for name, same in sorted(by_name.items()):
        held = [run for parent in same for run in children.get(parent.info.run_id, [])]
        ranked = rank_parents(same, held)
        trials: list[TrackedTrial] = []
        known: set[str] = set()
        for parent in ranked:
            of_parent = children.pop(parent.info.run_id, [])
            for run in of_parent:
                trial = _read_trial(run)
                if trial is None:
                    foreign += Tag.TRIAL_NUMBER in run.data.tags
                elif _key(run) not in known:  # a trial may stand under two parents
                    trials.append(trial)
            known.update(_key(run) for run in of_parent)
        studies.append(_study(name, ranked[0], trials))
    foreign += sum(map(len, children.values()))
    return TrackedExperiment(name=experiment_name, studies=tuple(studies), foreign_runs=foreign)


def _key(run: Run) -> str:
    """What tells a trial from the others of its study."""
    tags = run.data.tags
    number = tags.get(Tag.TRIAL_NUMBER)
    return str(tags.get(TRIAL_IDENTITY_TAG, f"{number} since {run.info.start_time}"))


def _all_runs(store: TrackingStore) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            order_by=["attributes.start_time ASC"],
            max_results=_PAGE,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _study(name: str, parent: Run, trials: Sequence[TrackedTrial]) -> TrackedStudy:
    ordered = sorted(trials, key=lambda t: (t.trial.trial_number, t.trial.started_ms, t.run_id))
    return TrackedStudy(
        study_name=name,
        run_id=parent.info.run_id,
        status=parent.info.status,
        params=parent.data.params,
        metrics=parent.data.metrics,
        tags=parent.data.tags,
        trials=tuple(ordered),
    )


def _trials(runs: Iterable[Run]) -> list[TrialRun]:
    found = [trial.trial for run in runs if (trial := _read_trial(run)) is not None]
    return sorted(found, key=lambda trial: (trial.trial_number, trial.started_ms))


def _read_trial(run: Run) -> TrackedTrial | None:
    """Read a trial from its run; None when the run has not the shape of a trial's."""
    tags = dict(run.data.tags)
    try:
        number = int(tags.pop(Tag.TRIAL_NUMBER))
        state = TrialState(tags.pop(Tag.TRIAL_STATE))
    except (KeyError, ValueError):
        return None
    params: dict[Param, int | float | str] = {}
    unreadable: dict[Param, str] = {}
    for param in Param:
        text = run.data.params.get(param)
        if text is None:
            continue
        try:
            params[param] = _type(param)(text)
        except ValueError:
            unreadable[param] = text
    known = {metric: run.data.metrics.get(metric) for metric in Metric}
    return TrackedTrial(
        run_id=run.info.run_id,
        status=run.info.status,
        trial=TrialRun(
            trial_number=number,
            state=state,
            started_ms=run.info.start_time,
            ended_ms=run.info.end_time,
            params=params,
            metrics={metric: value for metric, value in known.items() if value is not None},
            tags=tags,
        ),
        unreadable=unreadable,
    )


def _type(param: Param) -> Callable[[str], int | float | str]:
    if param in WHOLE_PARAMS:
        return int
    return float if param in REAL_PARAMS else str

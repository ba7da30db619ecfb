"""The trial runs that MLflow has: whose each is, and whether it shows its trial as it is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlflow.entities import Run

from mlproject.tracking.names import (
    FINGERPRINT_TAGS,
    MLFLOW_STATUS,
    TRIAL_IDENTITY_TAG,
    Metric,
    Origin,
    Tag,
    TrialState,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import child_runs
from mlproject.tracking.trial_run import TrialRun

COMPARED_CHARACTERS = 5000
"""MLflow cuts long tags off."""


@dataclass(frozen=True, kw_only=True)
class StaleTrial:
    """A trial that ended, and that MLflow does not show as it is."""

    trial: TrialRun
    run: Run | None
    """Its run, as far as it came; None where there is none."""


class KnownRuns:
    """An index of the runs under a parent, by the trials that they stand for.

    A trial is known by the identity that its run is tagged with, or by a fingerprint. Runs of
    earlier versions have no identity: they are known by number and start, and where a copy of the
    store has lost the start, by number and values.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self._by_key: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        self._untagged: defaultdict[str, list[Run]] = defaultdict(list)
        self._live: list[str] = []
        for run in runs:
            for key in _keys_of_run(run):
                self._by_key[key].append(run)
            if _is_live_trial(run):
                self._live.append(str(run.info.run_id))
            if TRIAL_IDENTITY_TAG not in run.data.tags:
                self._untagged[run.data.tags.get(Tag.TRIAL_NUMBER, "")].append(run)

    def of(self, trial: TrialRun) -> Run | None:
        """Return the run of a trial, the one that shows most should there be several."""
        found = self._all_of(trial)
        whole = (run for run in found if _shows(run, trial))
        return next(whole, found[0] if found else None)

    def duplicates(self, trial: TrialRun, kept: str) -> list[str]:
        """Return the ids of a trial's live runs beside the one that is `kept`.

        Two are created where the answer to the first request is lost on its way. Only runs with
        the origin `live` are named: others may not be this program's.
        """
        same = {
            str(run.info.run_id): run
            for key in (*_identity_keys(trial), _start_key(trial))
            for run in self._by_key.get(key, ())
        }
        return [
            run_id
            for run_id, run in same.items()
            if run_id != kept and run.data.tags.get(Tag.ORIGIN) == Origin.LIVE
        ]

    def unknown(self, trials: Iterable[TrialRun]) -> list[str]:
        """Return the ids of live runs that are of none of the trials."""
        known = {run.info.run_id for trial in trials for run in self._all_of(trial)}
        return [run_id for run_id in self._live if run_id not in known]

    def without_identity(self, trials: Iterable[TrialRun]) -> Iterator[tuple[str, str]]:
        """Return the runs of trials that are not tagged with an identity, and which it is."""
        for trial in trials:
            run = self.of(trial)
            if run is not None and trial.identity and TRIAL_IDENTITY_TAG not in run.data.tags:
                yield str(run.info.run_id), trial.identity

    def stale(self, trials: Iterable[TrialRun]) -> list[StaleTrial]:
        """Return the trials that ended and that MLflow does not show as they are, in order."""
        found = ((trial, self.of(trial)) for trial in trials)
        return [
            StaleTrial(trial=trial, run=run)
            for trial, run in found
            if trial.state is not TrialState.RUNNING and not (run and _shows(run, trial))
        ]

    def _all_of(self, trial: TrialRun) -> list[Run]:
        found = [run for key in _keys_of_trial(trial) for run in self._by_key.get(key, ())]
        if found:
            return found
        untagged = self._untagged.get(str(trial.trial_number), ())
        return [run for run in untagged if _has_values_of(run, trial)]


def known_runs(store: TrackingStore, parent_run_id: str) -> KnownRuns:
    """Read the runs that exist under the parent: one call per thousand runs."""
    return KnownRuns(child_runs(store, parent_run_id))


def _is_live_trial(run: Run) -> bool:
    tags = run.data.tags
    is_trial = Tag.TRIAL_NUMBER in tags or TRIAL_IDENTITY_TAG in tags
    return is_trial and tags.get(Tag.ORIGIN) == Origin.LIVE


def _keys_of_run(run: Run) -> list[tuple[str, str]]:
    tags = run.data.tags
    keys = [(tag, tags[tag]) for tag in (*FINGERPRINT_TAGS, TRIAL_IDENTITY_TAG) if tag in tags]
    number = tags.get(Tag.TRIAL_NUMBER)
    return keys if number is None else [*keys, (number, str(run.info.start_time))]


def _keys_of_trial(trial: TrialRun) -> list[tuple[str, str]]:
    return [*trial.known_by, *_identity_keys(trial), _start_key(trial)]


def _identity_keys(trial: TrialRun) -> list[tuple[str, str]]:
    return [(TRIAL_IDENTITY_TAG, trial.identity)] if trial.identity else []


def _start_key(trial: TrialRun) -> tuple[str, str]:
    return str(trial.trial_number), str(trial.started_ms)


def _has_values_of(run: Run, trial: TrialRun) -> bool:
    """Tell whether a run shows just this trial but for its times, which a copy may have lost.

    How long a trial took to the microsecond is its own; one that failed did not come to measure it.
    """
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    if tags.get(Tag.ORIGIN) != Origin.LIVE or tags.get(Tag.TRIAL_STATE) != trial.state:
        return False
    if any(params.get(name, str(value)) != str(value) for name, value in trial.params.items()):
        return False
    if Metric.DURATION_SECONDS in trial.metrics:
        return bool(metrics.get(Metric.DURATION_SECONDS) == trial.metrics[Metric.DURATION_SECONDS])
    reason = tags.get(Tag.FAILURE_REASON)
    return bool(trial.params) and reason == trial.tags.get(Tag.FAILURE_REASON)


def _shows(run: Run, trial: TrialRun) -> bool:
    tags = run.data.tags
    if trial.unfinished:
        ours = any(tag in tags for tag in FINGERPRINT_TAGS)
        return run.info.status != "RUNNING" or not ours
    # Somebody may have edited the number, which the identity says as well.
    identity = tags.get(TRIAL_IDENTITY_TAG)
    is_numbered = (
        identity is None
        or identity != trial.identity
        or tags.get(Tag.TRIAL_NUMBER) == str(trial.trial_number)
    )
    reasons = (tags.get(Tag.FAILURE_REASON), trial.tags.get(Tag.FAILURE_REASON))
    return (
        is_numbered
        and run.info.status == MLFLOW_STATUS[trial.state]
        and tags.get(Tag.TRIAL_STATE) == trial.state
        and len({(reason or "")[:COMPARED_CHARACTERS] for reason in reasons}) == 1
    )

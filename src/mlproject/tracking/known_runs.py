"""The trial runs that MLflow has: whose each is, and whether it shows its trial as it is."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow.entities import Run

from mlproject.tracking.names import (
    FINGERPRINT_TAGS,
    MLFLOW_STATUS,
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

    A trial is known by its number and the time it started, or by a fingerprint.
    """

    def __init__(self, runs: Iterable[Run]) -> None:
        self._by_key: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in runs:
            for key in _keys_of_run(run):
                self._by_key[key].append(run)

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
        key = (str(trial.trial_number), str(trial.started_ms))
        return [
            str(run.info.run_id)
            for run in self._by_key.get(key, ())
            if run.info.run_id != kept and run.data.tags.get(Tag.ORIGIN) == Origin.LIVE
        ]

    def stale(self, trials: Iterable[TrialRun]) -> list[StaleTrial]:
        """Return the trials that ended and that MLflow does not show as they are, in order."""
        found = ((trial, self.of(trial)) for trial in trials)
        return [
            StaleTrial(trial=trial, run=run)
            for trial, run in found
            if trial.state is not TrialState.RUNNING and not (run and _shows(run, trial))
        ]

    def _all_of(self, trial: TrialRun) -> list[Run]:
        return [run for key in _keys_of_trial(trial) for run in self._by_key.get(key, ())]


def known_runs(store: TrackingStore, parent_run_id: str) -> KnownRuns:
    """Read the runs that exist under the parent: one call per thousand runs."""
    return KnownRuns(child_runs(store, parent_run_id))


def _keys_of_run(run: Run) -> list[tuple[str, str]]:
    tags = run.data.tags
    keys = [(tag, tags[tag]) for tag in FINGERPRINT_TAGS if tag in tags]
    number = tags.get(Tag.TRIAL_NUMBER)
    return keys if number is None else [*keys, (number, str(run.info.start_time))]


def _keys_of_trial(trial: TrialRun) -> list[tuple[str, str]]:
    return [*trial.known_by, (str(trial.trial_number), str(trial.started_ms))]


def _shows(run: Run, trial: TrialRun) -> bool:
    tags = run.data.tags
    if trial.unfinished:
        ours = any(tag in tags for tag in FINGERPRINT_TAGS)
        return run.info.status != "RUNNING" or not ours
    reasons = (tags.get(Tag.FAILURE_REASON), trial.tags.get(Tag.FAILURE_REASON))
    return (
        run.info.status == MLFLOW_STATUS[trial.state]
        and tags.get(Tag.TRIAL_STATE) == trial.state
        and len({(reason or "")[:COMPARED_CHARACTERS] for reason in reasons}) == 1
    )

"""Recovered runs whose times were read in another zone, where the right one was not given.

MLflow never changes the start of a run, so such a run is deleted (it can be restored) and written
anew. Times that differ by anything but the distance of two zones are another matter, and stay.
"""

from collections.abc import Sequence

from mlflow.entities import Run

from mlproject.tracking.names import FINGERPRINT_TAGS, Origin, Tag
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import child_runs
from mlproject.tracking.trial_run import TrialRun

_QUARTER_MS = 15 * 60 * 1000
_FARTHEST_MS = 27 * 60 * 60 * 1000
"""From the westernmost zone to the easternmost, with summer time."""


def shifted_runs(store: TrackingStore, parent: Run, trials: Sequence[TrialRun]) -> list[Run]:
    """The recovered runs that show trials as of another zone."""
    starts = {key: trial.started_ms for trial in trials for key in trial.known_by}
    if not starts:
        return []
    found = []
    for run in child_runs(store, parent.info.run_id, f"tags.{Tag.ORIGIN} = '{Origin.LOG}'"):
        tags = run.data.tags
        keys = [(tag, tags[tag]) for tag in FINGERPRINT_TAGS if tag in tags]
        start = next((starts[key] for key in keys if key in starts), run.info.start_time)
        if _is_of_zones(start - run.info.start_time):
            found.append(run)
    return found


def remove_shifted(
    store: TrackingStore, parent: Run, shifted: Sequence[Run], started_ms: int
) -> None:
    """Delete the runs that will be written anew, and a parent run that is shifted itself.

    The parent goes last and only if no trial is left under it, so that a backfill that is killed
    here is completed by the next one.
    """
    for run in shifted:
        store.client.delete_run(run.info.run_id)
    is_recovered = parent.data.tags.get(Tag.ORIGIN) == Origin.LOG
    if (
        is_recovered
        and _is_of_zones(started_ms - parent.info.start_time)
        and not child_runs(store, parent.info.run_id)
    ):
        store.client.delete_run(parent.info.run_id)


def _is_of_zones(difference_ms: int) -> bool:
    distance = abs(difference_ms)
    return 0 < distance <= _FARTHEST_MS and distance % _QUARTER_MS == 0

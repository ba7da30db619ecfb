"""The run of a study's final evaluation: an analysis, and neither study nor trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from mlproject.data.markets import Markets
from mlproject.tracking.analysis_run import log_folder, open_analysis_run
from mlproject.tracking.errors import TrackingUnreachable, tracking_errors
from mlproject.tracking.names import (
    ANALYSIS_TAG,
    EVALUATED_STUDY_TAG,
    EVALUATED_TRIAL_TAG,
)
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import log_study_dataset, log_study_params, log_study_values

ANALYSIS = "evaluation"


def count_evaluations(store: TrackingStore, study_name: str) -> int:
    """Count the finished evaluations of a study: so often has its test span been looked at.

    Raises:
        TrackingUnreachable: the store does not answer.
    """
    with tracking_errors(store.uri):
        found = store.client.search_runs(
            [store.experiment_id],
            f"tags.{ANALYSIS_TAG} = '{ANALYSIS}' AND tags.{EVALUATED_STUDY_TAG} = '{study_name}' "
            "AND attributes.status = 'FINISHED'",
            max_results=1000,
        )
    return len(found)


@contextmanager
def evaluation_run(
    store: TrackingStore,
    study_name: str,
    trial_run_id: str,
    params: Mapping[str, object],
    markets: Markets,
) -> Iterator[str]:
    """Open the evaluation's run while the block runs, and give its id.

    A block that fails leaves the run FAILED, or KILLED where it was interrupted.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        run_id = open_analysis_run(store, ANALYSIS, of=study_name)
        tags = {EVALUATED_STUDY_TAG: study_name, EVALUATED_TRIAL_TAG: trial_run_id}
        log_study_values(store, run_id, metrics={}, tags=tags)
        log_study_params(store, run_id, params)
        log_study_dataset(store, run_id, markets)
    try:
        yield run_id
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with suppress(TrackingUnreachable), tracking_errors(store.uri):
            store.client.set_terminated(run_id, status)
        raise


def log_results(
    store: TrackingStore, run_id: str, *, metrics: Mapping[str, float], folder: str, note: str
) -> None:
    """Log metrics, files and the note, then end the run.

    Raises:
        TrackingUnreachable: the store stopped answering.
    """
    with tracking_errors(store.uri):
        log_study_values(store, run_id, metrics=metrics, tags={})
    log_folder(store, run_id, folder, note=note)

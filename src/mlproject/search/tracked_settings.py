"""The settings of a study as its experiment in MLflow knows it, and the store that they name."""

from dataclasses import replace

from mlproject.search.study_settings import StudySettings
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.store import TrackingStore, connect
from mlproject.tracking.whose_run import begun_in


def connect_for_study(settings: StudySettings, tracking_uri: str | None) -> TrackingStore:
    """Connect to the store and the experiment in which a study is to be launched."""
    # A request that is repeated after a lost answer would make a run twice.
    return connect(
        settings.experiment, tracking_uri, study_suffix=settings.name_suffix, request_retries=0
    )


def settings_as_tracked(settings: StudySettings, store: TrackingStore) -> StudySettings:
    """The settings with the name that the experiment had when the study began in it.

    Raises:
        ExperimentConflict: several studies may be meant.
        TrackingUnreachable: the store does not answer.
    """
    if store.found_experiment_id is None:
        return settings
    with tracking_errors(store.uri):
        begun = begun_in(
            store.client, store.experiment_id, settings.study_name, settings.name_suffix
        )
    return settings if begun is None else replace(settings, experiment=begun)

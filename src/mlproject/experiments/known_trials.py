"""Whether a storage knows the trials that MLflow holds of its study.

A storage that was lost, or another one than last time, would count from trial 0 again under the
same parent run.
"""

from collections.abc import Callable, Sequence

from mlproject.errors import UserError
from mlproject.experiments.study_files import StudyFiles
from mlproject.text.credentials import STORAGE_VARIABLE, hide_credentials
from mlproject.text.phrases import counted
from mlproject.tracking.errors import tracking_errors
from mlproject.tracking.known_runs import known_runs
from mlproject.tracking.names import STUDY_FOLDER_TAG, STUDY_STORAGE_TAG
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import find_study_run
from mlproject.tracking.trial_run import TrialRun


class TrialsElsewhere(UserError):
    """MLflow holds trials of the study that its storage does not know."""


def check_known(
    store: TrackingStore, files: StudyFiles, trials: Callable[[], Sequence[TrialRun]]
) -> None:
    """Refuse a storage that does not know the live trials of its study's parent run.

    Args:
        store: MLflow's.
        files: of the study, with the storage that is to be used.
        trials: reads all that the storage holds; after MLflow was asked, since another machine may
            begin one meanwhile.

    Raises:
        TrialsElsewhere: names the storage that was used before.
        TrackingUnreachable: the store does not answer.
    """
    if store.found_experiment_id is None:
        return
    with tracking_errors(store.uri):
        parent = find_study_run(store, files.study_name)
        if parent is None:
            return
        known = known_runs(store, parent.info.run_id)
    unknown = known.unknown(trials())
    if not unknown:
        return
    used = parent.data.tags.get(STUDY_STORAGE_TAG)
    where = parent.data.tags.get(STUDY_FOLDER_TAG, "")
    before = f"its last launch used {used} ({where})" if used else "no launch said which it used"
    raise TrialsElsewhere(
        f"study {files.study_name} has {counted(len(unknown), 'trial')} in MLflow (run "
        f"{parent.info.run_id}) that storage {hide_credentials(files.storage_url)} does not know; "
        f"{before}: give that one with --storage (-P storage=) or {STORAGE_VARIABLE}, or begin "
        "anew under another experiment name"
    )

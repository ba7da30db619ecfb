"""Whether the storage of a study and MLflow hold the same of its trials.

A storage that was lost, or another one than last time, would count from trial 0 again under the
same parent run. In another experiment than last time all trials would stand a second time.
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
from mlproject.tracking.whose_run import begun_elsewhere


class TrialsElsewhere(UserError):
    """MLflow holds trials of the study that its storage does not know, or in another experiment."""


def check_known(
    store: TrackingStore, files: StudyFiles, trials: Callable[[], Sequence[TrialRun]]
) -> None:
    """Refuse a storage that does not know the live trials of its study's parent run.

    Refuse, too, to write a study that has begun into a second experiment of the same store.

    Args:
        store: MLflow's.
        files: of the study, with the storage that is to be used.
        trials: reads all that the storage holds; after MLflow was asked, since another machine may
            begin one meanwhile.

    Raises:
        TrialsElsewhere: names the storage or the experiment that was used before.
        TrackingUnreachable: the store does not answer.
    """
    with tracking_errors(store.uri):
        has_experiment = store.found_experiment_id is not None
        parent = find_study_run(store, files.study_name) if has_experiment else None
        if parent is None:
            others = begun_elsewhere(store.client, files.study_name)
        else:
            known = known_runs(store, parent.info.run_id)
    if parent is None:
        if others and trials():
            raise TrialsElsewhere(
                f"study {files.study_name} has its runs in experiment "
                f"{' and '.join(map(repr, others))}, which was renamed or is a copy: give that "
                "name with --experiment ('mlflow run': --experiment-name), or begin anew in "
                "another storage"
            )
        return
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

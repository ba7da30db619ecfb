"""A study that several processes reach at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from optuna.trial import TrialState

from mlproject.experiments.storage import open_study, open_study_storage
from mlproject.experiments.workers.shared_study import share_study


def test_an_enqueued_trial_is_handed_out_once(tmp_path: Path) -> None:
    storage = open_study_storage(None, "shared", tmp_path)
    study = open_study(storage, {})
    for number in range(20):
        study.enqueue_trial({"x": number})
    with share_study(storage, "127.0.0.1") as shared:
        workers = [shared.load() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            rounds = [list(pool.map(lambda worker: worker.ask().number, workers)) for _ in range(5)]
    assert sorted(number for taken in rounds for number in taken) == list(range(20))
    assert {trial.state for trial in study.get_trials()} == {TrialState.RUNNING}

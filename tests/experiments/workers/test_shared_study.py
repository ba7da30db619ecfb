"""A study that several processes reach at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from optuna.storages import GrpcStorageProxy
from optuna.trial import TrialState

from mlproject.experiments.storage import open_study, open_study_storage
from mlproject.experiments.workers.shared_study import share_study

SEARCH_SPACE = 1


def test_an_enqueued_trial_is_handed_out_once(tmp_path: Path) -> None:
    storage = open_study_storage(None, "shared", tmp_path)
    study = open_study(storage, {"search_space": SEARCH_SPACE})
    for number in range(20):
        study.enqueue_trial({"x": number})
    with share_study(storage, "127.0.0.1") as shared:
        workers = [shared.load(SEARCH_SPACE) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            rounds = [list(pool.map(lambda worker: worker.ask().number, workers)) for _ in range(5)]
    assert sorted(number for taken in rounds for number in taken) == list(range(20))
    assert {trial.state for trial in study.get_trials()} == {TrialState.RUNNING}


def test_nobody_else_can_write_into_the_study(tmp_path: Path) -> None:
    storage = open_study_storage(None, "shared", tmp_path)
    open_study(storage, {"search_space": SEARCH_SPACE})
    with share_study(storage, "127.0.0.1") as shared:
        assert shared.proxy is not None
        shared.load(SEARCH_SPACE).ask()
        guessed = replace(shared.proxy, secret="guessed")
        with pytest.raises(grpc.RpcError, match="served to its own workers"):
            replace(shared, proxy=guessed).load(SEARCH_SPACE)
        intruder = GrpcStorageProxy(host=shared.proxy.host, port=shared.proxy.port)
        with pytest.raises(grpc.RpcError, match="served to its own workers"):
            intruder.get_all_studies()
        assert shared.proxy.secret not in repr(shared)


def test_a_worker_prunes_by_what_the_others_report(tmp_path: Path) -> None:
    storage = open_study_storage(None, "shared", tmp_path)
    open_study(storage, {"search_space": SEARCH_SPACE})
    with share_study(storage, "127.0.0.1") as shared:
        one, other = shared.load(SEARCH_SPACE), shared.load(SEARCH_SPACE)
        for _ in range(6):
            trial = one.ask()
            for epoch in range(1, 12):
                trial.report(0.5, epoch)
            one.tell(trial, 0.5)
        better, worse = other.ask(), other.ask()
        for epoch in range(1, 12):
            better.report(0.4, epoch)
            worse.report(0.6, epoch)
        assert not better.should_prune()
        assert worse.should_prune()

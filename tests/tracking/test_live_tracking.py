"""Live runs in a real MLflow store that fails in chosen ways: in order, once each, nobody waits."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from mlproject.tracking import live_tracking
from mlproject.tracking.live_tracking import LiveTracking
from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.store import TrackingStore, connect, open_experiment
from mlproject.tracking.study_run import child_runs, open_study_run
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from tests.end_to_end.processes import wait_until

UNAVAILABLE = MlflowException("the database is locked", error_code=TEMPORARILY_UNAVAILABLE)
REFUSED = MlflowException("no such value", error_code=INVALID_PARAMETER_VALUE)
EPOCHS = tuple(EpochMetrics(epoch=e, train_loss=1 / e, val_loss=2 / e) for e in (1, 2, 3))
PATIENCE = 1.0
"""Of a server that says nothing; what answers is waited for however slow the machine is."""
LONG_PATIENCE = 60.0


class FaultyClient:
    """MLflow's client, with a fault before or after what it does."""

    def __init__(self) -> None:
        self.before: Callable[[str, tuple[Any, ...]], None] = lambda *_: None
        self.after: Callable[[str, tuple[Any, ...]], None] = lambda *_: None
        self.calls: list[str] = []
        self._client = MlflowClient()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            self.before(name, args)
            found = getattr(self._client, name)(*args, **kwargs)
            self.after(name, args)
            return found

        return call


class Study:
    """A study's storage, and its launch."""

    def __init__(self) -> None:
        self.client = FaultyClient()
        store = open_experiment(connect("somewhere"))
        self.parent = open_study_run(store, "study")
        self.store = replace(store, client=cast(MlflowClient, self.client))
        self.ended: list[TrialRun] = []
        self.tracking = LiveTracking(self.store, self.parent, lambda: list(self.ended))

    def train(self, number: int) -> None:
        """A trial from its start to its end."""
        started, ended = _trial(number)
        run = self.tracking.begin(started)
        for losses in EPOCHS:
            run.add(losses)
        self.ended.append(ended)
        run.close(ended)

    def runs(self) -> list[Run]:
        client = cast(TrackingStore, replace(self.store, client=MlflowClient()))
        found = child_runs(client, self.parent)
        return sorted(found, key=lambda run: int(run.data.tags[Tag.TRIAL_NUMBER]))

    def curve(self, run: Run) -> list[tuple[int, float]]:
        points = MlflowClient().get_metric_history(run.info.run_id, Metric.VAL_LOSS)
        return sorted((point.step, point.value) for point in points)

    def assert_whole(self, numbers: list[int]) -> None:
        runs = self.runs()
        assert [int(run.data.tags[Tag.TRIAL_NUMBER]) for run in runs] == numbers
        for run in runs:
            assert run.info.status == "FINISHED"
            assert run.data.metrics[Metric.BEST_VAL_LOSS] == 0.5
            assert self.curve(run) == [(losses.epoch, losses.val_loss) for losses in EPOCHS]


@pytest.fixture
def study(work_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(live_tracking, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(live_tracking, "LONGEST_PAUSE_SECONDS", 0.02)
    return Study()


def _trial(number: int) -> tuple[TrialRun, TrialRun]:
    started = TrialRun(
        trial_number=number,
        state=TrialState.RUNNING,
        started_ms=1_763_000_000_000 + number,
        params={Param.D_MODEL: 64},
        tags={Tag.STUDY_NAME: "study", Tag.ORIGIN: Origin.LIVE},
    )
    ended = replace(
        started,
        state=TrialState.COMPLETE,
        ended_ms=started.started_ms + 1000,
        metrics={Metric.BEST_VAL_LOSS: 0.5},
        epochs=EPOCHS,
    )
    return started, ended


def _raise(error: Exception, *, calls: tuple[str, ...] = (), times: int = 10**6) -> Any:
    left = [times]

    def fault(name: str, _args: tuple[Any, ...]) -> None:
        if (not calls or name in calls) and left[0] > 0:
            left[0] -= 1
            raise error

    return fault


def test_several_trials_in_progress_at_once_end_as_the_runs_they_are(study: Study) -> None:
    runs = {number: study.tracking.begin(_trial(number)[0]) for number in (0, 1, 2)}
    for losses in EPOCHS:
        for run in runs.values():
            run.add(losses)
    for number in (2, 0, 1):
        ended = _trial(number)[1]
        study.ended.append(ended)
        runs[number].close(ended)
    left = study.tracking.finish(PATIENCE)
    assert left.as_text() is None
    study.assert_whole([0, 1, 2])


def test_training_goes_on_while_no_request_is_answered(study: Study) -> None:
    answers = threading.Event()
    study.client.before = lambda *_: cast(None, answers.wait())
    for number in range(5):
        study.train(number)
    assert len(study.client.calls) <= 2
    answers.set()
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole(list(range(5)))


def test_after_an_outage_runs_arrive_in_order_and_with_them_the_trial_in_progress(
    study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    study.train(0)
    wait_until(lambda: [run.info.status for run in study.runs()] == ["FINISHED"], "trial 0")
    study.client.before = _raise(UNAVAILABLE)
    for number in (1, 2):
        study.train(number)
    begun = study.tracking.begin(_trial(3)[0])
    begun.add(EPOCHS[0])
    created: list[str] = []
    wait_until(lambda: "does not answer since" in caplog.text, "it is said")
    asked = len(study.client.calls)
    wait_until(lambda: len(study.client.calls) > asked + 3, "it is asked again and again")

    def note(name: str, _args: tuple[Any, ...]) -> None:
        created.extend([name] * (name == "create_run"))

    study.client.before, study.client.after = lambda *_: None, note
    wait_until(lambda: len(study.runs()) == 4 and bool(study.curve(study.runs()[3])), "the curve")
    assert [run.info.status for run in study.runs()] == ["FINISHED"] * 3 + ["RUNNING"]
    assert created == ["create_run"] * 3
    assert caplog.text.count("does not answer since") == 1
    assert caplog.text.count("answers again") == 1
    for losses in EPOCHS[1:]:
        begun.add(losses)
    study.ended.append(_trial(3)[1])
    begun.close(study.ended[-1])
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole([0, 1, 2, 3])


@pytest.mark.parametrize("call", ["create_run", "log_batch", "set_terminated"])
def test_an_answer_that_is_lost_doubles_nothing(study: Study, call: str) -> None:
    study.client.after = _raise(UNAVAILABLE, calls=(call,), times=2)
    for number in range(3):
        study.train(number)
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole([0, 1, 2])


def test_a_run_that_a_late_request_doubled_is_deleted(study: Study) -> None:
    study.train(0)
    wait_until(lambda: [run.info.status for run in study.runs()] == ["FINISHED"], "trial 0")
    started = _trial(0)[0]
    live_tracking.LiveRun(started, threading.Condition()).write(study.store, study.parent)
    assert len(study.runs()) == 2
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole([0])


@pytest.mark.parametrize(
    ("error", "why"), [(REFUSED, "no such value"), (UNAVAILABLE, "the database is locked")]
)
def test_a_trial_that_cannot_be_written_is_named_and_the_others_go_on(
    study: Study, error: MlflowException, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused for good, or answered with errors each time although the store is well."""
    refused: set[str] = set()

    def refuse(name: str, args: tuple[Any, ...]) -> None:
        if name == "log_batch" and args[0] in refused:
            raise error

    def note(name: str, _args: tuple[Any, ...]) -> None:
        if name == "create_run":
            refused.update(
                run.info.run_id for run in study.runs() if run.data.tags[Tag.TRIAL_NUMBER] == "1"
            )

    study.client.before, study.client.after = refuse, note
    for number in range(4):
        study.train(number)
    left = study.tracking.finish(PATIENCE)
    assert left.outage is None
    assert left.refused == {1: why}
    assert left.as_text() == f"MLflow refuses trial 1 ({why}): mend the cause"
    assert caplog.text.count("refuses trial 1") == 1
    shown = {run.data.tags[Tag.TRIAL_NUMBER]: run.info.status for run in study.runs()}
    assert shown == {"0": "FINISHED", "1": "RUNNING", "2": "FINISHED", "3": "FINISHED"}


def test_a_store_that_stays_away_is_given_up_after_its_time(study: Study) -> None:
    study.client.before = _raise(UNAVAILABLE)
    for number in range(3):
        study.train(number)
    left = study.tracking.finish(PATIENCE)
    assert left.outage is not None
    assert left.outage.reason == "the database is locked"
    text = left.as_text()
    assert text is not None and text.startswith("MLflow does not answer since ")


def test_a_store_that_can_only_be_read_is_given_up_too(study: Study) -> None:
    study.client.before = _raise(UNAVAILABLE, calls=("create_run", "log_batch"))
    for number in range(30):
        study.train(number)
    assert study.tracking.finish(PATIENCE).as_text() is not None
    assert len(study.client.calls) < 1000


def test_what_is_held_for_a_slow_server_is_bounded(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_tracking, "MAX_HELD_RUNS", 5)
    answers = threading.Event()
    study.client.before = lambda *_: cast(None, answers.wait())
    for number in range(30):
        study.train(number)
        assert len(study.tracking._held) <= 5
    answers.set()
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole(list(range(30)))


def test_the_study_is_told_the_newest_values_and_a_refusal_stops_nothing(study: Study) -> None:
    def refuse_the_parent(name: str, args: tuple[Any, ...]) -> None:
        if name == "log_batch" and args[0] == study.parent:
            raise REFUSED

    study.client.before = refuse_the_parent
    study.tracking.tell_study({"eta_seconds": 3.0}, {"time_left": "three"})
    study.train(0)
    wait_until(lambda: "set_terminated" in study.client.calls, "the trial is written")
    study.client.before = lambda *_: None
    study.tracking.tell_study({"eta_seconds": 2.0}, {"time_left": "two"})
    study.tracking.tell_study({"eta_seconds": 0.0}, {"time_left": "none"})
    assert study.tracking.finish(LONG_PATIENCE).as_text() is None
    study.assert_whole([0])
    parent = MlflowClient().get_run(study.parent)
    assert parent.data.metrics["eta_seconds"] == 0.0
    assert parent.data.tags["time_left"] == "none"

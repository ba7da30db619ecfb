"""A study that is steered by its tag `control`, against real SQLite and real MLflow."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.analysis.summary import parent_run as summary
from mlproject.experiments import objective
from mlproject.experiments.control import listener
from mlproject.experiments.study import StudyOutcome, run_study
from mlproject.tracking.names import NOTE_TAG, Metric, Tag
from mlproject.training.train import train
from tests.conftest import MakeSettings

pytestmark = pytest.mark.slow

STUDY = "phase6a_100k_h3_threshold_1pct"
SECONDS = 60.0


class User:
    """Somebody who has the study's run open in the UI."""

    def __init__(self, store: str) -> None:
        self._client = MlflowClient(store)

    @property
    def run(self) -> Run:
        """The study's run."""
        (experiment,) = self._client.search_experiments(filter_string="name = 'phase6a'")
        found = self._client.search_runs(
            [experiment.experiment_id], f"tags.study_name = '{STUDY}' and tags.trial_number IS NULL"
        )
        (run,) = found
        return run

    @property
    def answer(self) -> str:
        """What was done about what was asked last."""
        return str(self.run.data.tags.get("control_done", ""))

    def asks(self, text: str) -> None:
        """Set the tag."""
        self._client.set_tag(self.run.info.run_id, "control", text)

    def asks_and_waits(self, text: str) -> None:
        """Set the tag, and wait until it is gone."""
        self.asks(text)
        deadline = time.monotonic() + SECONDS
        while "control" in self.run.data.tags:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def user(work_directory: Path) -> User:
    return User(f"sqlite:///{work_directory / 'mlflow.db'}")


@pytest.fixture
def at_first_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], list[int]]:
    """Lets something happen after the first step of the first trial; counts all steps."""

    def arrange(happens: Callable[[], None]) -> list[int]:
        steps: list[int] = []

        def watched(*args: Any, on_step: Callable[[int, int], None], **more: Any) -> Any:
            def step(done: int, of: int) -> None:
                steps.append(done)
                if len(steps) == 1:
                    happens()
                on_step(done, of)

            return train(*args, on_step=step, **more)

        monkeypatch.setattr(objective, "train", watched)
        return steps

    return arrange


@pytest.fixture
def launch(
    work_directory: Path,
    small_market: Path,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., StudyOutcome]:
    monkeypatch.setattr(listener, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(summary, "_log_pictures", lambda *_: None)  # they take seconds

    def launch(n_trials: int = 3) -> StudyOutcome:
        settings = make_settings("100k", n_trials=n_trials, max_epochs=1, max_steps=3)
        return run_study(settings, data=str(small_market), device="cpu")

    return launch


Launch = Callable[..., StudyOutcome]
AtFirstStep = Callable[[Callable[[], None]], list[int]]


def _trials(work_directory: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name=STUDY, storage=f"sqlite:///{work_directory / 'optuna.db'}")
    return study.get_trials(states=[s for s in optuna.trial.TrialState if s.name != "WAITING"])


def test_a_stop_ends_the_launch_with_its_trial_and_the_same_command_goes_on(
    user: User, launch: Launch, at_first_step: AtFirstStep, work_directory: Path
) -> None:
    at_first_step(lambda: user.asks_and_waits("stop"))
    stopped = launch()
    assert stopped.was_stopped and stopped.finished == 1
    assert user.run.info.status == "KILLED"
    assert "control" not in user.run.data.tags
    assert user.answer.endswith(
        "UTC: stop: the launch ends with the trials at work; the same command goes on"
    )
    assert stopped.trial_log.read_text().count("Control: stop, as asked in MLflow: ") == 1
    whole = launch()
    assert not whole.was_stopped and whole.finished == 3
    assert user.run.info.status == "FINISHED"
    assert [trial.state.name for trial in _trials(work_directory)] == ["COMPLETE"] * 3


def test_a_stop_now_interrupts_the_trial_which_the_same_command_takes_up_again(
    user: User, launch: Launch, at_first_step: AtFirstStep, work_directory: Path
) -> None:
    steps = at_first_step(lambda: user.asks_and_waits("stop now"))
    with pytest.raises(KeyboardInterrupt):
        launch()
    assert steps == [1]
    assert user.run.info.status == "KILLED"
    (interrupted,) = _trials(work_directory)
    assert interrupted.user_attrs[Tag.FAILURE_REASON] == "interrupted"
    assert launch(6).finished == 6  # what waited in the queue comes first
    (retry,) = [t for t in _trials(work_directory) if t.user_attrs.get(Tag.RETRY_OF) == 0]
    assert retry.state.name == "COMPLETE"


def test_a_pause_holds_the_trial_at_its_step_until_it_is_to_go_on(
    user: User, launch: Launch, at_first_step: AtFirstStep, work_directory: Path
) -> None:
    held: list[int] = []

    def resume_later() -> None:
        time.sleep(1.0)
        held.extend(steps)
        user.asks("resume")

    def pause() -> None:
        user.asks_and_waits("pause")
        threading.Thread(target=resume_later).start()

    steps = at_first_step(pause)
    assert launch(1).finished == 1
    assert held == [1]
    assert len(steps) > 1
    assert user.answer.endswith("UTC: resume: the study goes on")
    (trial,) = _trials(work_directory)
    assert trial.duration is not None
    worked = trial.user_attrs["metrics"][Metric.DURATION_SECONDS]
    assert worked < trial.duration.total_seconds() - 0.9  # the pause is not counted


def test_the_number_of_trials_is_raised_for_this_launch_and_those_by_the_same_command(
    user: User, launch: Launch, at_first_step: AtFirstStep
) -> None:
    at_first_step(lambda: user.asks_and_waits("n_trials=4"))
    assert launch(2).finished == 4
    tags = user.run.data.tags
    assert tags["planned_trials"] == "4"
    assert "4 of 4 trials finished" in tags[NOTE_TAG]
    assert launch(2).finished == 4
    assert user.run.data.tags["planned_trials"] == "4"
    assert launch(5).finished == 5  # a command that says otherwise is a later word


def test_what_is_mistyped_is_answered_once_and_harms_nothing(
    user: User, launch: Launch, at_first_step: AtFirstStep, caplog: pytest.LogCaptureFixture
) -> None:
    at_first_step(lambda: user.asks_and_waits("puase"))
    outcome = launch(2)
    assert outcome.finished == 2 and not outcome.was_stopped
    assert "control 'puase' is not known, and nothing is changed: write pause" in user.answer
    assert sum("puase" in record.message for record in caplog.records) == 1
    assert "puase" not in outcome.trial_log.read_text()


def test_what_was_asked_of_an_earlier_launch_is_not_obeyed(user: User, launch: Launch) -> None:
    launch(1)
    user.asks("stop now")
    assert launch(2).finished == 2
    assert "control" not in user.run.data.tags
    assert user.answer.endswith("stop now was set before this launch, and is not obeyed")


def test_the_number_of_trials_may_be_raised_before_a_launch(
    user: User, launch: Launch, at_first_step: AtFirstStep
) -> None:
    launch(1)
    user.asks("n_trials=3")
    at_first_step(lambda: user.asks_and_waits("resume"))  # it was read before this
    assert launch(2).finished == 3

"""A study is steered from MLflow's UI while its server goes away, and while workers run it."""

import time
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import TrialState

from tests.end_to_end.faulty_proxy import Fault, faulty_proxy
from tests.end_to_end.launches import Launch
from tests.end_to_end.processes import SERVERS, constants, start_project, wait_until

STUDY = "phase6a_100k_h3_threshold_1pct"
MANY = 500
"""More trials than a study comes to before its test ends it."""


class User:
    """Somebody who has the study's run open in the UI."""

    def __init__(self, store: str, study_name: str) -> None:
        self._client = MlflowClient(store)
        self._study_name = study_name

    @property
    def run(self) -> Run:
        """The study's run."""
        experiments = [each.experiment_id for each in self._client.search_experiments()]
        search = f"tags.study_name = '{self._study_name}' and tags.trial_number IS NULL"
        (run,) = self._client.search_runs(experiments, search)
        return run

    def asks(self, text: str) -> None:
        """Set the tag."""
        self._client.set_tag(self.run.info.run_id, "control", text)

    def was_answered(self, words: str) -> bool:
        """Whether it is gone, and the answer says so."""
        tags = self.run.data.tags
        return "control" not in tags and words in tags.get("control_done", "")


def _start(directory: Path, market: Path, store: str, *more: str) -> Launch:
    listener = "mlproject.experiments.control.listener"
    return start_project(
        *("study", "--budget", "100k", "--horizon", "3", "--data", str(market)),
        *("--n-trials", str(MANY), "--max-epochs", "4", *more),
        cwd=directory,
        MLFLOW_TRACKING_URI=store,
        **constants(
            {
                "mlproject.tracking.live_tracking:LONGEST_PAUSE_SECONDS": 1.0,
                f"{listener}:POLL_SECONDS": 0.2,
                f"{listener}:LONGEST_PAUSE_SECONDS": 1.0,
            }
        ),
    )


def _log(directory: Path) -> str:
    return "".join(path.read_text() for path in (directory / "trial_logs").glob("*.log"))


@pytest.mark.xdist_group(SERVERS)
def test_what_is_asked_during_an_outage_is_obeyed_after_it(
    work_directory: Path, small_market: Path, server: str
) -> None:
    def ended() -> int:
        return _log(work_directory).count(" ended: ")

    user = User(server, "steered_100k_h3_threshold_1pct")
    with faulty_proxy(server) as proxy:
        study = _start(work_directory, small_market, proxy.address, *("--experiment", "steered"))
        wait_until(lambda: ended() >= 1, "a trial has ended")
        proxy.fault = Fault.DROP
        user.asks("stop")
        away = ended()
        wait_until(lambda: ended() >= away + 3, "the study goes on")
        assert study.poll() is None
        assert user.run.data.tags["control"] == "stop"
        proxy.fault = Fault.NONE
        stdout, stderr = study.communicate(timeout=120)
    assert study.returncode == 0, stderr
    assert "stopped    as asked in MLflow: run the same command again to go on" in stdout
    assert user.was_answered("stop: the launch ends with the trials at work")
    assert user.run.info.status == "KILLED"


def test_workers_begin_no_trial_during_a_pause_and_end_with_a_stop(
    work_directory: Path, small_market: Path
) -> None:
    store = f"sqlite:///{work_directory / 'mlflow.db'}"

    def begun() -> int:
        return _log(work_directory).count("started=")

    def at_work() -> int:
        study = optuna.load_study(
            study_name=STUDY, storage=f"sqlite:///{work_directory / 'optuna.db'}"
        )
        return len(study.get_trials(states=(TrialState.RUNNING,)))

    user = User(store, STUDY)
    study = _start(work_directory, small_market, store, "--workers", "2")
    wait_until(lambda: begun() >= 2, "two trials have begun")
    user.asks("pause")
    wait_until(lambda: user.was_answered("pause: no trial begins"), "it is obeyed")
    wait_until(lambda: at_work() == 0, "those at work have ended")
    before = begun()
    time.sleep(2)  # an idle worker begins in a moment
    assert begun() == before and study.poll() is None

    user.asks("resume")
    wait_until(lambda: begun() >= before + 2, "the study goes on")
    user.asks("stop now")
    _, stderr = study.communicate(timeout=120)
    assert study.returncode == 130, stderr
    assert user.was_answered("stop now: the trials at work are interrupted")
    assert "Traceback" not in stderr
    assert at_work() == 0

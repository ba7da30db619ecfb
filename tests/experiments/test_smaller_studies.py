"""A study that begins with what smaller ones of its task recommend, as it stands in MLflow."""

from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mlproject.data.bars import load_bars
from mlproject.experiments.study import StudyOutcome, run_study
from mlproject.models.extremes import distinct_extremes
from mlproject.search.carried_over import WarmStart, warm_start_of
from mlproject.search.search_space import SearchSpace
from mlproject.tracking.names import Param, Tag
from tests.conftest import MakeSettings

pytestmark = pytest.mark.slow
SMALL = "phase6a_100k_h3_threshold_1pct"


class Studies:
    """Runs short studies one after the other in one store."""

    def __init__(self, make_settings: MakeSettings, data: Path) -> None:
        self._make_settings = make_settings
        self._data = data
        self.said: list[str] = []

    def run(self, budget: str, *, data: Path | None = None, **changes: object) -> StudyOutcome:
        settings = self._make_settings(
            budget, **{"n_trials": 2, "max_epochs": 1, "max_steps": 1, **changes}
        )
        self.said.clear()
        return run_study(
            settings, data=str(data or self._data), device="cpu", progress=self.said.append
        )

    @property
    def warm_start(self) -> str:
        """What the last launch said of it."""
        (line,) = [line for line in self.said if line.startswith("warm start: ")]
        return line.removeprefix("warm start: ")


@pytest.fixture
def studies(work_directory: Path, small_market: Path, make_settings: MakeSettings) -> Studies:
    return Studies(make_settings, small_market)


def _run(run_id: str) -> Run:
    return MlflowClient().get_run(run_id)


def test_it_begins_with_what_the_smaller_one_recommends_and_goes_on_with_it(
    studies: Studies, make_settings: MakeSettings
) -> None:
    small = studies.run("100k")
    assert studies.warm_start == "nothing"
    assert small.recommended is not None
    source = f"trial {small.recommended.trial} of {SMALL}"
    space = SearchSpace.of(make_settings("200k"), 25)
    n_extremes = len(distinct_extremes(space.grid))
    large = studies.run("200k", n_trials=1)
    assert studies.warm_start.startswith(source)
    studies.run("100k", n_trials=3)  # what the smaller one learns now comes too late
    again = studies.run("200k", n_trials=n_extremes + 1)
    assert again.parent_run_id == large.parent_run_id
    parent = _run(large.parent_run_id)
    assert parent.data.params["warm_start"] == studies.warm_start
    runs = MlflowClient().search_runs(
        [parent.info.experiment_id],
        f"tags.study_name = '{again.study_name}' and tags.trial_number != ''",
    )
    by_number = sorted(runs, key=lambda run: int(run.data.tags[Tag.TRIAL_NUMBER]))
    # What the first source gives is one of the extremes, which is not tried twice.
    carried_over = by_number[n_extremes].data.tags[Tag.WARM_START]
    assert carried_over in studies.warm_start.removeprefix(source)
    rates = {run.data.params[Param.LEARNING_RATE] for run in by_number[:n_extremes]}
    assert len(rates) == 1  # the extremes have the settings of what was carried over
    assert f"warm_start={carried_over}" in again.trial_log.read_text()


def test_other_bars_are_not_used_and_it_is_said(studies: Studies, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    load_bars("nasdaq").frame.head(800).to_csv(other, index=False)
    studies.run("100k", data=other)
    outcome = studies.run("200k", n_trials=1)
    assert studies.warm_start.startswith(f"nothing; {SMALL} is not used (data_digest is ")
    said = studies.warm_start
    studies.run("200k", n_trials=2)
    assert studies.warm_start == said  # as it was decided
    assert _run(outcome.parent_run_id).data.params["warm_start"] == studies.warm_start


def test_without_it_and_under_the_first_search_space_nothing_is_taken_over(
    studies: Studies, work_directory: Path
) -> None:
    studies.run("100k")
    studies.run("200k", n_trials=1, warm_start=False)
    assert studies.warm_start == "nothing"
    studies.run("300k", n_trials=1, search_space=1)
    assert studies.warm_start == "nothing"
    study = optuna.load_study(
        study_name="phase6a_200k_h3_threshold_1pct",
        storage=f"sqlite:///{work_directory / 'optuna.db'}",
    )
    assert warm_start_of(study) == WarmStart()

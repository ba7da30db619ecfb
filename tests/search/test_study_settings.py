"""Settings of a study: its name, and what must never differ within it."""

from dataclasses import replace

import pytest

from mlproject.search.study_settings import BadSetting
from tests.conftest import MakeSettings


@pytest.mark.parametrize(
    ("experiment", "name"),
    [
        ("phase6a", "phase6a_2M_h3_threshold_1pct"),
        ("other", "other_2M_h3_threshold_1pct"),
        # `mlflow run` without --experiment-name
        ("Default", "phase6a_2M_h3_threshold_1pct"),
    ],
)
def test_the_study_name_says_what_is_searched(
    make_settings: MakeSettings, experiment: str, name: str
) -> None:
    assert make_settings(experiment=experiment).study_name == name


@pytest.mark.parametrize("experiment", ["", "../x", "a/b", "it's", "a" * 101, "x\n", "-x"])
def test_an_experiment_that_cannot_name_a_file_is_refused(
    make_settings: MakeSettings, experiment: str
) -> None:
    with pytest.raises(BadSetting, match="cannot name a study"):
        make_settings(experiment=experiment)


@pytest.mark.parametrize(
    ("name", "value"), [("n_trials", 0), ("max_epochs", -1), ("batch_size", 0), ("seed", -1)]
)
def test_counts_out_of_range_are_refused(
    make_settings: MakeSettings, name: str, value: int
) -> None:
    with pytest.raises(BadSetting, match=f"{name} is {value}"):
        replace(make_settings(), **{name: value})

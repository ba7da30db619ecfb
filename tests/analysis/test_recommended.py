"""What a study recommends is read back from its run as it was logged, and never guessed."""

from dataclasses import replace
from typing import Any

import pytest

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.recommended import Recommendation, recommended_trial
from mlproject.analysis.summary.recommendation import (
    recommendation_as_logged,
    table_of_architectures,
)
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.search.recommendation import ArchitectureEstimate
from mlproject.tracking.names import RECOMMENDED_TRIAL_TAG, Origin, RecommendedMetric, Tag
from tests.analysis.audit.conftest import study_of, trial_of

GRID = architecture_grid(parse_budget("2M"), 25)
TRIALS = [
    trial_of(GRID.architectures[place], GRID, number, loss=0.57 - number / 1000)
    for number, place in enumerate((3, 40, 50))
]
RECOVERED = trial_of(GRID.architectures[9], GRID, 1, tags={Tag.ORIGIN: Origin.LOG})
RANKED = [
    ArchitectureEstimate(
        architecture=GRID.architectures[place],
        trial=number,
        n_trials=2,
        n_seeds=1,
        val_loss=0.5691 + rank / 300,
        low=0.56,
        high=0.58,
        probability_best=0.6 - rank / 5,
        is_among_best=rank < 2,
    )
    for rank, (number, place) in enumerate(((1, 40), (0, 3), (2, 50)))
]


def as_logged(ranked: list[ArchitectureEstimate] = RANKED, **changes: Any) -> AnalysedStudy:
    """A study whose run holds what these estimates are logged as."""
    metrics, tags = recommendation_as_logged(ranked)
    study = study_of([RECOVERED, *TRIALS], metrics=metrics, tags=tags)
    table = table_of_architectures(ranked).to_csv(index=False)
    return AnalysedStudy(replace(study.tracked, **{"architectures": table, **changes}))


def _of(study: AnalysedStudy) -> Recommendation:
    assert study.recommendation is not None
    return study.recommendation


def test_it_is_what_was_logged() -> None:
    found = _of(as_logged())
    assert found.trial.trial == TRIALS[1]
    assert (found.val_loss, found.low, found.high) == (0.5691, 0.56, 0.58)
    assert (found.probability_best, found.among_best) == (0.6, 2)
    assert found.architectures is not None
    assert list(found.architectures["val_loss"]) == [each.val_loss for each in RANKED]
    assert found.trials_among_best == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "\n",
        "no,table\n1,2\n",
        table_of_architectures(RANKED).assign(among_best="perhaps").to_csv(index=False),
        table_of_architectures(RANKED).assign(d_model="wide").to_csv(index=False),
        table_of_architectures(RANKED[1:]).to_csv(index=False),
        table_of_architectures([replace(RANKED[0], val_loss=0.6)]).to_csv(index=False),
    ],
    ids=["unread", "empty", "blank", "foreign", "no-truth", "no-number", "other-trial", "older"],
)
def test_a_table_that_does_not_go_with_the_run_is_not_used(text: str | None) -> None:
    found = _of(as_logged(architectures=text))
    assert found.architectures is None
    assert found.among_best == 2
    assert found.trials_among_best == (1,)


def test_a_study_that_says_it_in_part_or_not_at_all_recommends_nothing() -> None:
    whole = as_logged().tracked
    assert AnalysedStudy(replace(whole, tags={})).recommendation is None
    for missing in RecommendedMetric:
        left = {name: value for name, value in whole.metrics.items() if name != missing}
        assert AnalysedStudy(replace(whole, metrics=left)).recommendation is None
    gone = replace(whole, tags={**whole.tags, RECOMMENDED_TRIAL_TAG: "7"})
    assert recommended_trial(gone) is None
    assert AnalysedStudy(gone).recommendation is None

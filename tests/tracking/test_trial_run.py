"""Which trials are finished, which have diverged, and which is the best."""

import math

import pytest

from mlproject.tracking.names import Metric, Tag, TrialState
from mlproject.tracking.tracked_studies import TrackedTrial, ranked_trials
from mlproject.tracking.trial_run import TrialRun, best_run
from mlproject.training.epoch_metrics import EXPLODED_LOSS


def _trial(
    number: int, loss: float | None, state: TrialState = TrialState.COMPLETE, **tags: str
) -> TrialRun:
    metrics = {} if loss is None else {Metric.BEST_VAL_LOSS: loss}
    return TrialRun(trial_number=number, state=state, started_ms=number, metrics=metrics, tags=tags)


def test_the_best_run_is_the_complete_one_with_the_lowest_loss() -> None:
    runs = [
        _trial(0, 0.4),
        _trial(1, 0.3),
        _trial(2, 0.1, TrialState.PRUNED),
        _trial(3, None),
        _trial(4, 0.2, TrialState.FAIL),
    ]
    assert best_run(runs) is runs[1]
    assert best_run(runs[2:]) is None


def test_a_complete_and_a_pruned_trial_are_finished() -> None:
    finished = {state for state in TrialState if _trial(0, 0.4, state).is_finished}
    assert finished == {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.parametrize("loss", [100.0, math.nan, math.inf, math.nextafter(EXPLODED_LOSS, 11)])
def test_a_loss_that_exploded_or_is_no_number_has_diverged(loss: float) -> None:
    assert _trial(0, loss).has_diverged


def test_a_trial_diverged_if_its_tag_says_so() -> None:
    assert _trial(0, 0.4, **{Tag.DIVERGED: "true"}).has_diverged
    assert not any(_trial(0, loss).has_diverged for loss in (0.4, EXPLODED_LOSS, None))


def test_trials_are_ranked_without_those_that_diverged() -> None:
    trials = [
        TrackedTrial(run_id=str(number), status="FINISHED", trial=trial, unreadable={})
        for number, trial in enumerate([_trial(0, 0.4), _trial(1, 100.0), _trial(2, 0.3)])
    ]
    assert [each.run_id for each in ranked_trials(trials)] == ["2", "0"]

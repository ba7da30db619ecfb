"""The estimate of the time left: what it counts, and what it says of itself."""

import pytest

from mlproject.experiments.time_left import (
    TRIALS_FOR_A_SHARE,
    Basis,
    EndedTrial,
    TrialAhead,
    TrialAtWork,
    time_left,
)

AHEAD = TrialAhead(cost=None, epochs=75)


def _ended(epochs_run: int = 100, *, epoch_seconds: float = 2.0, cost: float = 1.0) -> EndedTrial:
    return EndedTrial(
        cost=cost,
        planned_epochs=100,
        epochs_run=epochs_run,
        seconds=epochs_run * epoch_seconds,
        is_sampled=False,
        is_of_this_launch=True,
    )


def _earlier(epoch_seconds: float) -> EndedTrial:
    return EndedTrial(**{**vars(_ended(epoch_seconds=epoch_seconds)), "is_of_this_launch": False})


def test_nothing_is_said_while_nothing_was_measured() -> None:
    at_work = TrialAtWork(cost=1.0, epochs_left=50, epoch_seconds=None)
    assert time_left([], [at_work], [AHEAD], grid_cost=1.0, workers=1) is None


def test_the_first_steps_tell_of_all_trials_by_what_they_cost() -> None:
    at_work = TrialAtWork(cost=2.0, epochs_left=49.5, epoch_seconds=4.0)
    ahead = [TrialAhead(cost=5.0, epochs=60), AHEAD]
    left = time_left([], [at_work], ahead, grid_cost=3.0, workers=1)
    assert left is not None
    assert left.seconds == left.at_most_seconds == 49.5 * 4 + 60 * 2 * 5 + 75 * 2 * 3
    assert left.basis is Basis.THIS_LAUNCH
    assert str(left) == "at most 21 min left"


def test_pruning_counts_when_enough_trials_have_shown_it() -> None:
    few = [_ended(20)] * (TRIALS_FOR_A_SHARE - 1)
    left = time_left(few, [], [AHEAD], grid_cost=1.0, workers=1)
    assert left is not None
    assert left.seconds == left.at_most_seconds == pytest.approx(150)
    left = time_left([*few, _ended(50)], [], [AHEAD], grid_cost=1.0, workers=1)
    assert left is not None
    assert left.at_most_seconds == pytest.approx(150)
    assert left.seconds == pytest.approx(150 * 0.3)
    assert str(left) == "about 45 s left"
    said = left.explained(None)
    assert "about 45 s on this machine, at most 2.5 min" in said
    assert "the 3 trials so far ran 30% of their epochs" in said


def test_workers_share_the_trials_but_not_a_trial() -> None:
    ahead = [TrialAhead(cost=1.0, epochs=10)] * 12
    alone = time_left([_ended()], [], ahead, grid_cost=1.0, workers=1)
    shared = time_left([_ended()], [], ahead, grid_cost=1.0, workers=4)
    assert alone is not None
    assert shared is not None
    assert shared.seconds == alone.seconds / 4
    assert "with 4 workers" in shared.explained(None)
    last = time_left([_ended()], [], ahead[:1], grid_cost=1.0, workers=4)
    assert last is not None
    assert last.seconds == 20


def test_a_resumed_study_judges_by_its_trials_unless_the_machine_is_another() -> None:
    earlier = [_earlier(2.0), _earlier(4.0)]
    left = time_left(earlier, [], [AHEAD], grid_cost=1.0, workers=1)
    assert left is not None
    assert left.seconds == pytest.approx(75 * 3)
    alike = [*earlier, _ended(epoch_seconds=3.0)]
    left = time_left(alike, [], [AHEAD], grid_cost=1.0, workers=1)
    assert left is not None
    assert left.at_most_seconds == pytest.approx(75 * 3)
    faster = TrialAtWork(cost=1.0, epochs_left=10, epoch_seconds=0.1)
    left = time_left(earlier, [faster], [AHEAD], grid_cost=1.0, workers=1)
    assert left is not None
    assert left.seconds == pytest.approx(85 * 0.1)


def test_what_the_sampler_has_come_to_prefer_is_expected_of_it() -> None:
    deep = EndedTrial(**{**vars(_ended(cost=10.0)), "is_sampled": True})
    forced = time_left([_ended(cost=10.0)] * 30, [], [AHEAD], grid_cost=1.0, workers=1)
    sampled = time_left([deep] * 30, [], [AHEAD], grid_cost=1.0, workers=1)
    assert forced is not None
    assert sampled is not None
    assert sampled.seconds == pytest.approx(forced.seconds * (10 + 300) / 40)


def test_before_the_first_step_a_layer_is_what_it_is_judged_by() -> None:
    left = time_left([], [], [AHEAD] * 50, grid_cost=2.0, workers=1, guessed_speed=400.0)
    assert left is not None
    assert left.basis is Basis.LAYER
    assert left.explained(None) == (
        "time left: the study at most 35 days on this machine "
        "(if no trial is pruned or stops early, judged by one layer before the first step)"
    )
    at_work = TrialAtWork(cost=2.0, epochs_left=1, epoch_seconds=2.0)
    left = time_left([], [at_work], [], grid_cost=2.0, workers=1, guessed_speed=400.0)
    assert left is not None
    assert left.seconds == 2.0

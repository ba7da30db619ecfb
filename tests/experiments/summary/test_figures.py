"""Pictures of long studies are drawn of some trials, and never without the best."""

import optuna
from optuna.trial import FrozenTrial, TrialState

from mlproject.experiments.summary.figures import MOST_SHOWN, thinned


def _trials(values: list[float | None]) -> list[FrozenTrial]:
    states = {True: TrialState.FAIL, False: TrialState.COMPLETE}
    return [optuna.create_trial(state=states[v is None], value=v) for v in values]


def test_a_short_study_is_drawn_whole() -> None:
    trials = _trials([0.5, None, *[0.6] * (MOST_SHOWN - 2)])
    assert thinned(trials) == trials
    assert thinned([]) == []


def test_a_long_study_is_thinned_and_keeps_each_record() -> None:
    values: list[float | None] = [0.9] * (12 * MOST_SHOWN)
    values[4001], values[9007], values[9008] = 0.7, 0.3, None
    shown = thinned(_trials(values))
    assert MOST_SHOWN <= len(shown) <= MOST_SHOWN + 3
    kept = [trial.value for trial in shown if trial.state is TrialState.COMPLETE]
    assert kept.count(0.7) == kept.count(0.3) == 1
    assert kept.index(0.7) < kept.index(0.3)

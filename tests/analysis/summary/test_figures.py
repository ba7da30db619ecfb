"""Pictures of long studies are drawn of some trials, and never without the best."""

from dataclasses import replace

from mlproject.analysis.summary.figures import MOST_SHOWN, study_over_architectures, thinned
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics


def _trials(values: list[float | None]) -> list[TrialRun]:
    return [
        TrialRun(
            trial_number=number,
            started_ms=1,
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            metrics={} if value is None else {Metric.BEST_VAL_LOSS: value},
        )
        for number, value in enumerate(values)
    ]


def test_a_short_study_is_drawn_whole() -> None:
    trials = _trials([0.5, None, *[0.6] * (MOST_SHOWN - 2)])
    assert thinned(trials) == trials
    assert thinned([]) == []


def test_a_long_study_is_thinned_and_keeps_each_record() -> None:
    values: list[float | None] = [0.9] * (12 * MOST_SHOWN)
    values[4001], values[9007], values[9008] = 0.7, 0.3, None
    shown = thinned(_trials(values))
    assert MOST_SHOWN <= len(shown) <= MOST_SHOWN + 3
    kept = [trial.metrics[Metric.BEST_VAL_LOSS] for trial in shown if trial.metrics]
    assert kept.count(0.7) == kept.count(0.3) == 1
    assert kept.index(0.7) < kept.index(0.3)


def test_a_pruned_trial_is_drawn_with_its_last_loss_and_a_diverged_one_not_at_all() -> None:
    [complete, diverged] = _trials([0.5, 100.0])
    pruned = replace(
        complete,
        state=TrialState.PRUNED,
        metrics={},
        params={Param.D_MODEL: 64, Param.LEARNING_RATE: 1e-4},
        epochs=tuple(EpochMetrics(epoch=e, train_loss=0.7, val_loss=0.6 + e) for e in (1, 2)),
    )
    shown = [complete, replace(diverged, tags={Tag.DIVERGED.value: "true"}), pruned]
    trials = study_over_architectures(shown).get_trials()
    assert [trial.value for trial in trials] == [0.5, 2.6]
    assert trials[1].params == {"d_model": 64, "learning_rate": 1e-4}
    assert trials[1].intermediate_values == {1: 1.6, 2: 2.6}

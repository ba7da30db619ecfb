"""What the parent run says in words of a study's luckiest trial."""

from mlproject.analysis.summary.note import recovered_note, study_note
from mlproject.data.labels import parse_task
from mlproject.models.budget import parse_budget
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import Metric, TrialState
from mlproject.tracking.trial_run import TrialRun

METRICS = {
    Metric.BEST_VAL_LOSS: 0.5634,
    Metric.PRIOR_LOSS: 0.6,
    Metric.SKILL: 0.061,
    Metric.SKILL_LOW: 0.0123,
    Metric.SKILL_HIGH: 0.11,
    Metric.VAL_AUC: 0.66,
}
PARTS = {Metric.SKILL_DISCRIMINATION: 0.07, Metric.SKILL_BASE_RATE: -0.009}
SETTINGS = StudySettings(
    experiment="phase6a", budget=parse_budget("2M"), horizon_days=3, task=parse_task("1pct")
)


def trial(metrics: dict[Metric, float]) -> TrialRun:
    return TrialRun(trial_number=3, state=TrialState.COMPLETE, started_ms=0, metrics=metrics)


def test_skill_has_its_interval_beside_it_and_its_two_parts_below() -> None:
    note = study_note(SETTINGS, [trial(METRICS | PARTS)], None, ())
    assert "| skill | 0.0610 | 0.0123 to 0.1100 |" in note
    assert "| val_auc | 0.6600 |  |" in note
    assert "Of its skill of 6.10%, +7.00% is from telling days apart and -0.90% from" in note


def test_of_a_trial_without_them_nothing_is_said() -> None:
    old = {m: v for m, v in METRICS.items() if m not in (Metric.SKILL_LOW, Metric.SKILL_HIGH)}
    note = study_note(SETTINGS, [trial(old)], None, ())
    assert "| skill | 0.0610 |  |" in note
    assert "telling days apart" not in note


def test_that_a_log_holds_no_single_windows_is_said() -> None:
    def note(metrics: dict[Metric, float]) -> str:
        return recovered_note(
            "s", [trial(metrics)], sources=["s.log"], quarantined=0, reports="recovery"
        )

    assert "The single validation windows of 1 trial (validation_windows.npz) are not" in note(
        METRICS
    )
    assert "validation windows" not in note({Metric.BEST_VAL_LOSS: 0.5})

"""Studies of older programs in an Optuna storage, in the names of today."""

from collections.abc import Callable

import optuna
import pytest
from recovery.checks.validate import validate
from recovery.records import LaunchId, TrialRecord
from recovery.resolve import resolve
from recovery.sources.optuna.storage import read_study

from mlproject.tracking.names import Metric, Param, Tag
from tests.recovery.runs import all_runs, run


def study_of(
    ends: list[float | list[float]], *, directions: list[str], **attrs: Callable[[float], object]
) -> optuna.Study:
    study = optuna.create_study(study_name="hpo_2m_1_a50", directions=directions)
    for value in ends:
        trial = study.ask()
        trial.suggest_categorical("d_model", [64])
        trial.suggest_categorical("n_heads", [4])
        trial.suggest_categorical("n_layers", [2])
        trial.suggest_categorical("d_ff_ratio", [4])
        trial.suggest_float("learning_rate", 1e-5, 1e-3)
        for name, of in attrs.items():
            trial.set_user_attr(name, of(value))  # type: ignore[arg-type]
        study.tell(trial, value)
    return study


def records_of(study: optuna.Study) -> list[TrialRecord]:
    return list(read_study(study, "old.db", LaunchId(1)))


def test_what_a_study_maximises_is_no_loss() -> None:
    study = study_of([0.6, 0.7, 0.5], directions=["maximize"], val_auc=lambda value: value)
    records = records_of(study)
    assert [r.metrics for r in records] == [{Metric.VAL_AUC: v} for v in (0.6, 0.7, 0.5)]
    assert {r.tags["recovery.objective"] for r in records} == {"maximise val_auc"}
    assert not validate(resolve("hpo_2m_1_a50", records)).errors


def test_the_best_trial_of_a_study_that_maximises_is_its_best(work_directory: object) -> None:
    url = f"sqlite:///{work_directory}/old.db"
    optuna.copy_study(
        from_study_name="hpo_2m_1_a50",
        from_storage=study_of(
            [0.6, 0.7, 0.5], directions=["maximize"], val_auc=lambda v: v
        )._storage,
        to_storage=url,
    )
    assert run("backfill", "--optuna", url) == 0
    (parent,) = [r for r in all_runs(work_directory) if Tag.TRIAL_NUMBER not in r.data.tags]  # type: ignore[arg-type]
    assert "best_val_loss" not in parent.data.metrics
    assert "its best is trial 1 with 0.7000" in parent.data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("directions", "ends", "reason"),
    [
        (["maximize"], [0.6, 0.7], "its study maximises its value"),
        (["minimize", "maximize"], [[0.6, 0.1], [0.7, 0.2]], "several objectives"),
        (["minimize"], [-0.6, -0.7], "its value is negative"),
    ],
)
def test_a_value_that_nothing_names_is_quarantined(
    directions: list[str], ends: list[float | list[float]], reason: str
) -> None:
    records = records_of(study_of(ends, directions=directions))
    errors = validate(resolve("hpo_2m_1_a50", records)).errors
    assert set(errors) == {0, 1}
    assert all(any(reason in each for each in reasons) for reasons in errors.values())


def test_names_of_today_are_used() -> None:
    [record] = records_of(study_of([0.6], directions=["minimize"], forced_extreme=lambda _: False))
    assert {p: v for p, v in record.params.items() if p is not Param.LEARNING_RATE} == {
        Param.D_MODEL: 64,
        Param.N_HEADS: 4,
        Param.N_LAYERS: 2,
        Param.D_FF: 256,
    }
    assert Tag.FORCED_EXTREME not in record.tags
    assert [tag for tag in record.tags if "param" in tag] == ["recovery.param.d_ff_ratio"]


def test_a_forced_trial_has_what_was_forced() -> None:
    study = optuna.create_study(study_name="hpo_2m_1_a50")
    trial = study.ask()
    forced = {"d_model": 32, "n_layers": 4, "n_heads": 8, "d_ff_ratio": 4, "learning_rate": 5e-5}
    for name, value in forced.items():
        trial.set_user_attr(f"forced_{name}", value)
    trial.set_user_attr("forced_extreme", True)
    trial.set_user_attr("extreme_type", "min_d_model")
    study.tell(trial, 0.6)
    [record] = records_of(study)
    assert record.tags[Tag.FORCED_EXTREME] == "min_d_model"
    assert record.params[Param.D_FF] == 128 and record.params[Param.LEARNING_RATE] == 5e-5

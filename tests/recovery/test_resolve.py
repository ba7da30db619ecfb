"""What is proven about an architecture, and what is not."""

from recovery.records import LaunchId, TrialRecord
from recovery.resolve import resolve

from mlproject.models.arch_grid import Architecture, architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import Param, TrialState

STUDY_2M = "phase6a_2M_h1_threshold_1pct"
STUDY_20M = "phase6a_20M_h1_threshold_1pct"


def record(row: Architecture, number: int = 0, study: str = STUDY_2M) -> TrialRecord:
    """What an old line without heads says of an architecture."""
    return TrialRecord(
        study_name=study,
        logged_study_name=study,
        launch=LaunchId(1),
        trial_number=number,
        state=TrialState.COMPLETE,
        source="a.log",
        params={
            Param.ARCH_IDX: row.arch_idx,
            Param.D_MODEL: row.d_model,
            Param.N_LAYERS: row.n_layers,
            Param.PARAM_COUNT: row.param_count,
        },
        outcome_fingerprint=str(number),
    )


def test_two_versions_with_one_list_of_architectures_both_stand_there() -> None:
    rows = architecture_grid(parse_budget("2M"), 25, 3).architectures
    study = resolve(STUDY_2M, [record(row, n) for n, row in enumerate(rows)])
    assert study.grid == "v2/F25 v3/F25"
    for trial, row in zip(study.trials, rows, strict=True):
        assert trial.params[Param.N_HEADS] == row.n_heads
        assert trial.params[Param.D_FF] == row.d_ff
        assert trial.params[Param.N_FEATURES] == 25
        assert Param.GRID_VERSION not in trial.params  # 2 or 3, who knows
        assert trial.n_heads_from == "grid"


def test_a_trial_about_which_the_grids_disagree_stays_without_heads() -> None:
    grids = [architecture_grid(parse_budget("20M"), 25, version) for version in (1, 2)]
    shared = [
        (a, b)
        for a, b in zip(grids[0].architectures, grids[1].architectures, strict=False)
        if (a.d_model, a.n_layers, a.param_count) == (b.d_model, b.n_layers, b.param_count)
    ]
    differing = [pair for pair in shared if pair[0] != pair[1]]
    study = resolve(STUDY_20M, [record(a, n, STUDY_20M) for n, (a, _) in enumerate(shared)])
    assert "v1/F25" in study.grid and "v2/F25" in study.grid
    for trial, (a, b) in zip(study.trials, shared, strict=True):
        assert (Param.N_HEADS in trial.params) == (a.n_heads == b.n_heads)
    assert all(trial.why_absent is None for trial in study.trials) == (not differing)


def test_one_alien_trial_leaves_no_candidate_and_nothing_is_guessed() -> None:
    rows = architecture_grid(parse_budget("2M"), 20, 1).architectures
    alien = architecture_grid(parse_budget("2M"), 25, 3).architectures[40]
    study = resolve(STUDY_2M, [*(record(r, n) for n, r in enumerate(rows)), record(alien, 99)])
    assert study.candidates == ()
    for trial in study.trials:
        assert Param.N_HEADS not in trial.params
        assert trial.why_absent == "no known grid explains every trial of its study"


def test_looking_arch_idx_up_in_todays_grid_would_be_wrong() -> None:
    old = architecture_grid(parse_budget("2M"), 20, 1).architectures
    today = architecture_grid(parse_budget("2M"), 25).architectures
    study = resolve(STUDY_2M, [record(row, n) for n, row in enumerate(old)])
    assert [t.params[Param.N_HEADS] for t in study.trials] == [row.n_heads for row in old]
    contradicted = [
        row.param_count != looked_up.param_count for row, looked_up in zip(old, today, strict=False)
    ]
    assert all(contradicted)


def test_the_budget_is_proven_where_the_name_of_the_study_does_not_tell() -> None:
    rows = architecture_grid(parse_budget("20M"), 20, 3).architectures
    study = resolve("my study", [record(row, n, "my study") for n, row in enumerate(rows)])
    assert study.grid == "v3/F20"
    assert {trial.params[Param.BUDGET] for trial in study.trials} == {"20M"}
    assert all(Param.HORIZON not in trial.params for trial in study.trials)

"""What a supplement consists of: architectures, settings of the best trials, and the cost."""

import re
from typing import Any

import pytest

from mlproject.analysis.audit import audit_study
from mlproject.analysis.audit.findings import UntestedValue
from mlproject.analysis.supplement.cost import EpochTime, fit_epoch_time
from mlproject.analysis.supplement.plan import plan_supplement, queued_trial
from mlproject.analysis.supplement.render import plan_text
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun
from tests.analysis.audit.conftest import study_of, trial_of
from tests.analysis.test_recommended import as_logged
from tests.conftest import MakeSpace
from tests.end_to_end.processes import REPOSITORY

GRID = architecture_grid(parse_budget("2M"), 25)
GAP = UntestedValue(dimension="n_layers", value=64, since_version=2)


def _trials(**changes: Any) -> list[TrialRun]:
    """All architectures but the deepest; the later the better."""
    shallow = [a for a in GRID.architectures if a.n_layers < 64]
    return [trial_of(a, GRID, n, loss=1 - n / 100, **changes) for n, a in enumerate(shallow)]


def test_the_settings_are_those_of_the_best_trials_in_turn(make_space: MakeSpace) -> None:
    trials = _trials()
    trials.append(trial_of(GRID.architectures[0], GRID, 80, state=TrialState.PRUNED))
    trials.append(trial_of(GRID.architectures[0], GRID, 81, loss=0.0, tags={"diverged": "true"}))
    study = study_of(trials)
    planned = plan_supplement(study, [GAP], make_space(), trials_per_value=4)
    assert [trial.settings_of for trial in planned] == [74, 73, 72, 74]
    assert planned[0].settings["learning_rate"] == trials[74].params[Param.LEARNING_RATE]


def test_where_a_study_recommends_the_settings_are_of_what_cannot_be_told_from_it(
    make_space: MakeSpace,
) -> None:
    study = as_logged()
    planned = plan_supplement(study, [GAP], make_space(), trials_per_value=3)
    assert [trial.settings_of for trial in planned] == [1, 0, 1]
    assert planned[0].settings["learning_rate"] == 1e-4 * 1.025
    alone = as_logged(architectures=None)
    planned = plan_supplement(alone, [GAP], make_space(), trials_per_value=3)
    assert [trial.settings_of for trial in planned] == [1, 1, 1]


def test_settings_outside_the_search_are_taken_to_its_nearest_end(make_space: MakeSpace) -> None:
    found = make_space(max_epochs=60, search_space=1).nearest_settings(
        {"learning_rate": 0.5, "epochs": 75, "weight_decay": 1e-9, "warmup_steps": 240, "x": 1}
    )
    assert found == {
        "learning_rate": 1e-3,
        "epochs": 60,
        "weight_decay": 1e-5,
        "warmup_steps": 200,
    }


def test_without_a_complete_trial_the_sampler_chooses_the_settings(make_space: MakeSpace) -> None:
    (trial,) = plan_supplement(study_of([]), [GAP], make_space(), trials_per_value=1)
    assert (trial.settings, trial.settings_of, trial.seconds) == ({}, None, None)
    assert "no duration known" in plan_text("s", [trial])


def test_a_planned_trial_is_forced_and_says_what_it_closes(make_space: MakeSpace) -> None:
    space = make_space()
    study = study_of(_trials())
    gaps = audit_study(study).gaps
    assert {str(gap) for gap in gaps} == {"n_layers=64", "max_n_layers"}
    (trial,) = plan_supplement(study, gaps, space, trials_per_value=1)
    owed = queued_trial(trial, space)
    assert owed.user_attrs == {
        Tag.SUPPLEMENT: "n_layers=64+max_n_layers",
        Tag.FORCED_EXTREME: "max_n_layers",
    }
    assert space.architecture(owed.params) == trial.architecture
    assert set(owed.params) == {"shape_index", "log2_n_heads", *trial.settings}


def test_the_cost_grows_with_depth_and_epochs() -> None:
    trials = [
        trial_of(a, GRID, n, params={Param.EPOCHS: 50})
        for n, a in enumerate(GRID.architectures)
        if a.n_layers < 64
    ]
    timed = [
        TrialRun(
            **{
                **vars(t),
                "metrics": {
                    Metric.DURATION_SECONDS: 10 * (2 + 0.5 * int(t.params[Param.N_LAYERS])),
                    Metric.EPOCHS_RUN: 10,
                },
            }
        )
        for t in trials
    ]
    line = fit_epoch_time(study_of(timed))
    assert line is not None
    assert line.of_trial(64, 100) == pytest.approx(100 * (2 + 0.5 * 64))


def test_without_several_depths_the_cost_is_the_median() -> None:
    trials = [trial_of(GRID.architectures[0], GRID, n) for n in range(3)]  # a minute, 75 epochs
    assert fit_epoch_time(study_of(trials)) == EpochTime(60 / 75, 0.0)


def test_the_page_of_the_twelve_studies_names_architectures_of_the_grid() -> None:
    page = (REPOSITORY / "docs" / "hpo_supplemental_tests.md").read_text()
    sections = re.findall(
        r"^## phase6a_(2M|20M)_h\d_threshold_1pct\n(.*?)(?=^## |\Z)", page, re.M | re.S
    )
    assert len(sections) == 6
    for budget, section in sections:
        rows = re.findall(
            r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \| (\d+) \|", section, re.M
        )
        assert rows
        grid = architecture_grid(parse_budget(budget), 25, 3)
        for *dimensions, parameters, arch_idx in rows:
            a = grid.architectures[int(arch_idx)]
            assert [a.d_model, a.n_layers, a.n_heads, a.d_ff] == [int(each) for each in dimensions]
            assert f"{a.param_count:,}" == parameters

"""What a supplement consists of: architectures, settings of the best trials, and the cost."""

from pathlib import Path
from typing import Any

import pytest

from mlproject.cli import cli
from mlproject.experiments.audit import audit_study
from mlproject.experiments.audit.findings import UntestedValue
from mlproject.experiments.supplement.cost import EpochTime, fit_epoch_time
from mlproject.experiments.supplement.document import gaps_of_version, supplement_document
from mlproject.experiments.supplement.plan import owed_trial, plan_supplement
from mlproject.experiments.supplement.render import plan_text
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun
from tests.end_to_end.processes import REPOSITORY
from tests.experiments.audit.conftest import facts_of, trial_of
from tests.experiments.conftest import MakeSpace

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
    facts = facts_of(trials)
    planned = plan_supplement(facts, [GAP], make_space(), trials_per_value=4)
    assert [trial.settings_of for trial in planned] == [74, 73, 72, 74]
    assert planned[0].settings["learning_rate"] == trials[74].params[Param.LEARNING_RATE]


def test_settings_outside_the_search_are_taken_to_its_nearest_end(make_space: MakeSpace) -> None:
    found = make_space(max_epochs=60).nearest_settings(
        {"learning_rate": 0.5, "epochs": 75, "weight_decay": 1e-9, "warmup_steps": 240, "x": 1}
    )
    assert found == {
        "learning_rate": 1e-3,
        "epochs": 60,
        "weight_decay": 1e-5,
        "warmup_steps": 200,
    }


def test_without_a_complete_trial_the_sampler_chooses_the_settings(make_space: MakeSpace) -> None:
    (trial,) = plan_supplement(facts_of([]), [GAP], make_space(), trials_per_value=1)
    assert (trial.settings, trial.settings_of, trial.seconds) == ({}, None, None)
    assert "no duration known" in plan_text("s", [trial])


def test_a_planned_trial_is_forced_and_says_what_it_closes(make_space: MakeSpace) -> None:
    space = make_space()
    facts = facts_of(_trials())
    gaps = audit_study(facts).gaps
    assert {str(gap) for gap in gaps} == {"n_layers=64", "max_n_layers"}
    (trial,) = plan_supplement(facts, gaps, space, trials_per_value=1)
    owed = owed_trial(trial, space)
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
    line = fit_epoch_time(facts_of(timed))
    assert line is not None
    assert line.of_trial(64, 100) == pytest.approx(100 * (2 + 0.5 * 64))


def test_without_several_depths_the_cost_is_the_median() -> None:
    trials = [trial_of(GRID.architectures[0], GRID, n) for n in range(3)]  # a minute, 75 epochs
    assert fit_epoch_time(facts_of(trials)) == EpochTime(60 / 75, 0.0)


@pytest.mark.parametrize(
    ("budget", "version", "depths"), [("2M", 1, {64}), ("20M", 2, {160, 180}), ("2B", 3, set())]
)
def test_the_known_depths_are_what_the_old_versions_lack(
    budget: str, version: int, depths: set[int]
) -> None:
    gaps = gaps_of_version(budget, version)
    assert {g.value for g in gaps if isinstance(g, UntestedValue)} == depths


def test_the_committed_page_is_the_generated_one(tmp_path: Path) -> None:
    committed = (REPOSITORY / "docs" / "hpo_supplemental_tests.md").read_text()
    assert supplement_document() == committed, "run `make supplement-plan`"
    cli.main(
        ["supplement-plan", "--output", str(tmp_path / "new" / "page.md")], standalone_mode=False
    )
    assert (tmp_path / "new" / "page.md").read_text() == committed
    assert "| 2M | version 1 | n_layers=64, max_n_layers | 3 | 3 |" in committed
    assert "| 20M | version 2 | n_layers=160, n_layers=180, max_n_layers | 6 | 3 |" in committed


def test_a_place_that_cannot_be_written_to_is_one_line(command: Any) -> None:
    code, _, line = command("supplement-plan", "--output", "/proc/nowhere/page.md")
    assert code == 2
    assert line.startswith("error: cannot write /proc/nowhere/page.md")

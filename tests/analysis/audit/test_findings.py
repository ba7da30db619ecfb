"""Each kind of finding is found where it is, and nothing is found where nothing is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlproject.analysis.audit import audit_study
from mlproject.analysis.audit.checks import CHECKS
from mlproject.analysis.audit.checks.contradictions import CONTRADICTION
from mlproject.analysis.audit.checks.coverage import UNTESTED_VALUE
from mlproject.analysis.audit.checks.divergence import DIVERGED
from mlproject.analysis.audit.checks.duplicates import DUPLICATES
from mlproject.analysis.audit.checks.missing_params import MISSING_PARAMS
from mlproject.analysis.audit.checks.trial_states import FAILED, MISSING_TRIALS, UNFINISHED
from mlproject.analysis.audit.checks.validation_windows import SKILL_OF_OTHER_WINDOWS
from mlproject.analysis.audit.findings import Finding, FindingKind
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.models.extremes import distinct_extremes
from mlproject.tracking.names import PLANNED_TRIALS_TAG, Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun
from tests.analysis.audit.conftest import study_of, tracked, trial_of
from tests.analysis.audit.test_search_findings import SPANS, badly_searched

GRID = architecture_grid(parse_budget("2M"), 25)
OLD_GRID = architecture_grid(parse_budget("2M"), 20, 1)


def _whole() -> list[TrialRun]:
    """A study that tested everything."""
    return [trial_of(a, GRID, number) for number, a in enumerate(GRID.architectures)]


def _findings(trials: Sequence[Any], kind: FindingKind, **study: Any) -> list[Finding]:
    audit = audit_study(study_of(trials, **study))
    return [finding for finding in audit.findings if finding.kind is kind]


def _numbers(finding: Finding) -> list[int]:
    return [ref.trial_number for ref in finding.runs]


def test_a_study_that_tested_everything_is_clean() -> None:
    assert audit_study(study_of(_whole())).findings == ()


def test_missing_heads_are_found_in_the_runs_that_lack_them() -> None:
    trials = _whole()
    for number in (3, 5):
        params = {k: v for k, v in trials[number].params.items() if k is not Param.N_HEADS}
        trials[number] = replace(trials[number], params=params)
    (finding,) = _findings(trials, MISSING_PARAMS)
    assert _numbers(finding) == [3, 5]
    assert finding.text == "n_heads missing in 2 of 80 runs"
    assert finding.runs[0].run_id == "run3"


def test_heads_that_the_grid_proved_are_told_as_made_good() -> None:
    tags = {"recovery.n_heads_from": "grid"}
    trials = [replace(t, tags={**t.tags, **tags}) for t in _whole()]
    (finding,) = _findings(trials, MISSING_PARAMS)
    assert finding.repaired
    assert len(finding.runs) == 80


def test_a_trial_that_died_before_it_chose_lacks_nothing() -> None:
    dead = replace(_whole()[0], trial_number=80, state=TrialState.FAIL, params={})
    assert _findings([*_whole(), dead], MISSING_PARAMS) == []


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"planned": 100}, "80 of 100 trials finished (80 COMPLETE)"),
        ({"params": {"n_trials": "90"}}, "80 of 90 trials finished (80 COMPLETE)"),
        # what the last launch asked for counts, not the first
        (
            {"params": {"n_trials": "8"}, "tags": {PLANNED_TRIALS_TAG: "81"}},
            "80 of 81 trials finished (80 COMPLETE)",
        ),
    ],
)
def test_a_study_cut_short_is_found(study: dict[str, Any], said: str) -> None:
    (finding,) = _findings(_whole(), MISSING_TRIALS, **study)
    assert finding.text == said


def test_a_study_without_any_trial_is_cut_short() -> None:
    (finding,) = _findings([], MISSING_TRIALS, planned=50)
    assert finding.text == "0 of 50 trials finished"


def test_supplementary_trials_do_not_fill_up_a_study_cut_short() -> None:
    extra = replace(_whole()[0], trial_number=80, tags={Tag.SUPPLEMENT.value: "n_layers=64"})
    (finding,) = _findings([*_whole(), extra], MISSING_TRIALS, planned=81)
    assert finding.text.startswith("80 of 81")


def test_trial_numbers_that_are_left_out_are_named() -> None:
    trials = [t for t in _whole() if t.trial_number not in (0, 7, 8, 9)]
    (finding,) = _findings(trials, MISSING_TRIALS)
    assert finding.text == "4 trial numbers have no run: 0, 7-9"


@pytest.mark.parametrize(("status", "left"), [("RUNNING", False), ("FINISHED", True)])
def test_an_unfinished_trial_says_whether_somebody_works_on_it(status: str, left: bool) -> None:
    running = trial_of(GRID.architectures[0], GRID, 80, state=TrialState.RUNNING)
    (finding,) = _findings([*_whole(), running], UNFINISHED, status=status)
    assert _numbers(finding) == [80]
    assert ("no launch of the study is running" in finding.text) is left


def test_failed_trials_are_grouped_by_reason_and_those_made_good_are_told_apart() -> None:
    lonely = distinct_extremes(GRID)["max_n_layers"]
    others = [t for t in _whole() if t.params[Param.ARCH_IDX] != lonely.arch_idx]
    tags = {Tag.FAILURE_REASON.value: "OutOfMemoryError: no memory"}
    failed = [
        trial_of(a, GRID, number, state=TrialState.FAIL, tags=tags)
        for number, a in ((80, lonely), (81, lonely), (82, GRID.architectures[0]))
    ]
    bad, good = _findings([*others, *failed], FAILED)
    assert (_numbers(bad), bad.repaired) == ([80, 81], False)
    assert bad.text == "2 failed: OutOfMemoryError: no memory"
    assert (_numbers(good), good.repaired) == ([82], True)


def test_a_dead_trial_that_was_retried_with_success_is_made_good() -> None:
    dead = replace(_whole()[0], trial_number=80, state=TrialState.FAIL, params={}, metrics={})
    retry = replace(_whole()[1], trial_number=81, tags={Tag.RETRY_OF.value: "80"})
    (finding,) = _findings([*_whole(), dead, retry], FAILED)
    assert finding.repaired
    assert finding.text.startswith("1 failed: no reason known")


@pytest.mark.parametrize(
    ("budget", "version", "missing", "since"),
    [("2M", 1, {64}, 2), ("2M", 2, set(), None), ("20M", 2, {160, 180}, 3)],
)
def test_depths_that_only_a_newer_grid_has_are_found(
    budget: str, version: int, missing: set[int], since: int | None
) -> None:
    old = architecture_grid(parse_budget(budget), 20, version)
    trials = [trial_of(a, old, number) for number, a in enumerate(old.architectures)]
    name = f"phase6a_{budget}_h3_threshold_1pct"
    gaps = [f.gap for f in _findings(trials, UNTESTED_VALUE, study_name=name)]
    assert {(g.dimension, g.value, g.since_version) for g in gaps if g} == {
        ("n_layers", depth, since) for depth in missing
    }


@given(kept=st.sets(st.integers(0, len(GRID.architectures) - 1)))
def test_what_is_untested_is_exactly_what_no_finished_trial_had(kept: set[int]) -> None:
    states = {True: TrialState.PRUNED, False: TrialState.FAIL}
    trials = [
        trial_of(a, GRID, a.arch_idx, state=states[a.arch_idx in kept]) for a in GRID.architectures
    ]
    audit = audit_study(study_of(trials, planned=80))
    tested = [GRID.architectures[idx] for idx in kept]
    expected = {
        f"{dimension}={value}"
        for dimension in ("d_model", "n_layers", "n_heads", "d_ff")
        for value in GRID.values(dimension)
        if not any(getattr(a, dimension) == value for a in tested)
    }
    expected |= {label for label, a in distinct_extremes(GRID).items() if a not in tested}
    assert {str(gap) for gap in audit.gaps} == expected


def test_where_nothing_says_the_budget_coverage_is_not_judged() -> None:
    trial = trial_of(GRID.architectures[0], GRID, 0, params={Param.BUDGET: None})
    audit = audit_study(study_of([trial], study_name="mine"))
    assert audit.gaps == ()
    assert any("what was never tested is not judged" in f.text for f in audit.findings)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({Param.N_HEADS: 3}, "3 heads do not divide d_model 64"),
        ({Param.PARAM_COUNT: 2_000_000}, "param_count is 2,000,000, and its architecture has"),
        ({Param.PARAM_COUNT: 9_000_000}, "param_count 9,000,000 is outside the budget 2M ± 25 %"),
        ({Param.ARCH_IDX: 500}, "arch_idx 500 does not exist in grid version 3 for 25 features"),
        ({Param.ARCH_IDX: 17}, "(arch_idx 17)"),
        ({Param.GRID_VERSION: 9}, "there is no grid version 9"),
        ({Param.HORIZON: 5}, "horizon is 5, and 3 for the study"),
        ({Param.BUDGET: "20M"}, "budget is 20M, and 2M for the study"),
        ({Param.N_FEATURES: 0}, None),
    ],
)
def test_params_that_contradict_the_grid_or_the_study_are_found(
    params: dict[Param, Any], said: str | None
) -> None:
    trials = _whole()
    trials[0] = trial_of(GRID.architectures[0], GRID, 0, params=params)
    found = _findings(trials, CONTRADICTION)
    assert all(_numbers(finding) == [0] for finding in found)
    assert (said is None) if not found else any(str(said) in finding.text for finding in found)


def test_a_status_a_metric_and_a_text_that_contradict_are_found() -> None:
    trials = _whole()
    metrics = {Metric.PARAM_COUNT: 5.0, Metric.BEST_VAL_LOSS: 0.5}
    odd = [
        replace(tracked(trials[0]), status="RUNNING"),
        tracked(replace(trials[1], metrics=metrics)),
        replace(tracked(trials[2]), unreadable={Param.N_HEADS: "None"}),
    ]
    found = _findings([*odd, *trials[3:]], CONTRADICTION)
    assert [_numbers(finding) for finding in found] == [[0], [1], [2]]
    assert "its trial_state is COMPLETE and its status RUNNING" in found[0].text
    assert "as a param and 5 as a metric" in found[1].text
    assert "n_heads is 'None', which is no value" in found[2].text


@pytest.mark.parametrize(("factor", "same"), [(1.0, True), (1.015, True), (1.03, False)])
def test_one_architecture_with_nearly_the_same_settings_is_a_duplicate(
    factor: float, same: bool
) -> None:
    trials = _whole()
    again = {Param.LEARNING_RATE: float(trials[4].params[Param.LEARNING_RATE]) * factor}
    trials.append(trial_of(GRID.architectures[4], GRID, 80, params=again))
    found = _findings(trials, DUPLICATES)
    assert [_numbers(finding) for finding in found] == ([[4, 80]] if same else [])


def test_a_trial_and_its_failed_attempt_are_no_duplicates() -> None:
    trials = _whole()
    trials.append(replace(trials[4], trial_number=80, state=TrialState.FAIL))
    assert _findings(trials, DUPLICATES) == []


def test_diverged_trials_and_what_they_share() -> None:
    # Old runs complete with 100; live ones are pruned with a tag.
    trials = [
        trial_of(a, GRID, n, loss=100.0, params={Param.WARMUP_STEPS: 500})
        if n in (3, 4, 5)
        else trial_of(a, GRID, n)
        for n, a in enumerate(GRID.architectures)
    ]
    tags = {Tag.DIVERGED.value: "true"}
    trials.append(trial_of(GRID.architectures[8], GRID, 80, state=TrialState.PRUNED, tags=tags))
    alone, made_good = _findings(trials, DIVERGED)
    assert _numbers(alone) == [3, 4, 5]
    assert "warmup_steps 500 (3 of 4)" in alone.text
    assert "batch_size" not in alone.text  # all trials have it
    assert (_numbers(made_good), made_good.repaired) == ([80], True)


def test_a_high_learning_rate_is_named_as_what_diverged_trials_share() -> None:
    trials = [
        trial_of(a, GRID, n, loss=100.0 if n >= 75 else 0.5)
        for n, a in enumerate(GRID.architectures)
    ]
    (finding,) = _findings(trials, DIVERGED)
    assert "a high learning_rate" in finding.text


@given(
    texts=st.lists(
        st.dictionaries(
            st.sampled_from(list(Param)), st.one_of(st.integers(-(2**40), 2**40), st.none())
        ),
        max_size=4,
    ),
    state=st.sampled_from(TrialState),
)
def test_no_params_make_the_audit_fail(texts: list[dict[Param, Any]], state: TrialState) -> None:
    trials = [
        trial_of(GRID.architectures[n], GRID, n, state=state, params=params)
        for n, params in enumerate(texts)
    ]
    audit_study(study_of(trials))


def test_every_kind_is_found_by_its_own_check_and_by_no_other() -> None:
    a = GRID.architectures
    trials = [
        trial_of(a[0], GRID, 0, params={Param.N_HEADS: None}),
        trial_of(a[1], GRID, 1, params={Param.PARAM_COUNT: 9_000_000}),
        trial_of(a[2], GRID, 2, loss=100.0),
        trial_of(a[3], GRID, 3),
        replace(trial_of(a[3], GRID, 3), trial_number=4),
        trial_of(a[4], GRID, 5, state=TrialState.FAIL),
        trial_of(a[4], GRID, 6, state=TrialState.RUNNING),
    ]
    searched = [replace(t, trial_number=t.trial_number + 7) for t in badly_searched()]
    other_windows = {**SPANS, "max_steps": "1"}
    study = study_of([*trials, *searched], planned=100, params=SPANS)
    cut_short = study_of([*trials, *searched], planned=100, params=other_windows)
    for kind, check in CHECKS.items():
        # A study whose skill is of other windows has no base rate to hold it against.
        audited = cut_short if kind is SKILL_OF_OTHER_WINDOWS else study
        assert {finding.kind for finding in check(audited)} == {kind}
    assert len({kind.title for kind in CHECKS}) == len(CHECKS)

"""Which trials an old log holds, and of which studies."""

from recovery.checks.validate import validate
from recovery.resolve import resolve

from mlproject.tracking.names import Param, TrialState
from tests.recovery.conftest import LEGACY
from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, start


def test_a_section_names_its_study_where_optuna_does_not(collect: Collect) -> None:
    head = "[3/12] Starting: hpo_2M_h5_threshold_1pct.py"
    assert list(collect(log(head, start(0, 1), finish(0, 2))).studies) == [STUDY]


def test_an_unknown_section_is_said_so(collect: Collect) -> None:
    [accounting] = collect(log("[1/2] Starting: what.py", start(0, 1), finish(0, 2))).accounting
    assert dict(accounting.rejected) == {"section 'what.py' names no study that is known": 2}


def test_the_last_trial_of_a_log_that_breaks_off_died(collect: Collect) -> None:
    _, died = collect(log(CREATED, start(0, 1), finish(0, 2), start(1, 3))).studies[STUDY]
    assert died.state is TrialState.FAIL and died.unfinished and not died.problems
    assert died.failure_reason is not None and "killed" in died.failure_reason
    assert Param.LEARNING_RATE not in died.params  # only its first digits are known


def test_a_trial_without_end_in_a_study_that_went_on_is_not_taken_for_dead(
    collect: Collect,
) -> None:
    lines = (start(0, 1), finish(0, 2), start(1, 3), start(2, 5), finish(2, 6))
    _, lost, _ = collect(log(CREATED, *lines)).studies[STUDY]
    assert lost.problems == ("its finish line is missing, though the study went on",)


def test_a_study_restarted_from_trial_0_keeps_both(collect: Collect) -> None:
    again = CREATED.replace("03:00", "03:30")
    collection = collect(
        log(CREATED, start(0, 1), finish(0, 2), start(1, 3), again, start(0, 31), finish(0, 32))
    )
    study = resolve(STUDY, collection.studies[STUDY])
    assert [t.record.trial_number for t in study.trials] == [0, 1, 0]
    validation = validate(study)
    assert not validation.errors
    assert "another launch of the study has a trial of its number" in validation.warnings[0]


def test_a_garbled_line_costs_its_own_trial_only(collect: Collect) -> None:
    content = (LEGACY / "2M_no_heads.log").read_bytes()
    for damaged in (
        content.replace(b"Trial 0: arch_idx=1,", b"Trial 0: arch_id#=1,", 1),
        content.replace(b"Trial 5: arch_idx=58, d_", b"Trial 5: arch_idx=58, #_", 1),  # the best
    ):
        studies = collect(damaged).studies
        assert sum(map(len, studies.values())) == 100
        for name, records in studies.items():
            errors = validate(resolve(name, records)).errors
            assert len(errors) == 0  # its finish line alone proves the architecture

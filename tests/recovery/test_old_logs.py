"""The kinds of old logs that occur, one by one, on small logs made here."""

import gzip
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from recovery.checks.validate import validate
from recovery.records import TimesFrom, TrialRecord
from recovery.resolve import resolve
from recovery.sources.collect import Collection

from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import Metric, Param, TrialState
from tests.recovery.conftest import LEGACY

Collect = Callable[..., Collection]
STUDY = "phase6a_2M_h5_threshold_1pct"
CREATED = f"[I 2025-01-02 03:00:00,000] A new study created in memory with name: {STUDY}_2M"
MOMENT = "2025-01-01T00:00:00.000Z"
GRID = architecture_grid(parse_budget("2M"), 20, 1).architectures


def stamp(minute: int) -> str:
    return f"[I 2025-01-02 03:{minute:02d}:00,000] "


def start(number: int, minute: int | None = None, batch: str = "batch_size=64") -> str:
    row = GRID[number + 20]
    head = "" if minute is None else stamp(minute)
    return (
        f"{head}Trial {number}: arch_idx={row.arch_idx}, d_model={row.d_model}, "
        f"n_layers={row.n_layers}, params={row.param_count:,}, lr=0.000123, epochs=50, {batch}"
    )


def finish(number: int, minute: int, more: str = "'batch_size': 64") -> str:
    """Trial 0 is the best and has the value 0.5."""
    return (
        f"{stamp(minute)}Trial {number} finished with value: 0.{number + 5} and parameters: "
        f"{{'arch_idx': {number + 20}, 'learning_rate': 0.00012345, 'epochs': 50, {more}}}. "
        "Best is trial 0 with value: 0.5."
    )


def log(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def only(collection: Collection) -> TrialRecord:
    [[record]] = collection.studies.values()
    return record


def test_a_section_names_its_study_where_optuna_does_not(collect: Collect) -> None:
    head = "[3/12] Starting: hpo_2M_h5_threshold_1pct.py"
    assert list(collect(log(head, start(0, 1), finish(0, 2))).studies) == [STUDY]


def test_an_unknown_section_is_said_so(collect: Collect) -> None:
    [accounting] = collect(log("[1/2] Starting: what.py", start(0, 1), finish(0, 2))).accounting
    assert dict(accounting.rejected) == {"section 'what.py' names no study that is known": 2}


def test_a_printed_line_without_time_starts_after_the_line_before_it(collect: Collect) -> None:
    record = only(collect(log(CREATED, start(0), finish(0, 7))))
    assert record.times_from is TimesFrom.NEIGHBOURS
    assert record.ended_ms is not None and record.started_ms == record.ended_ms - 7 * 60_000


def test_a_micro_batch_is_part_of_the_batch(collect: Collect) -> None:
    lines = (start(0, 1, "batch=32x8, dropout=0.21"), finish(0, 2, more="'dropout': 0.2123"))
    record = only(collect(log(CREATED, *lines)))
    assert record.params[Param.BATCH_SIZE] == 256 and record.params[Param.DROPOUT] == 0.2123
    assert record.tags["recovery.micro_batch"] == "32x8"


def test_a_forced_dropout_is_the_one_used_and_the_sampled_one_is_kept(collect: Collect) -> None:
    forced = f"{stamp(1)}  → Forced dropout=0.12 for diversity (was 0.22, prev=0.15)"
    lines = (
        forced,
        start(0, 1, "batch=32x8, dropout=0.12"),
        finish(0, 2, more="'dropout': 0.2211"),
    )
    record = only(collect(log(CREATED, *lines)))
    assert record.params[Param.DROPOUT] == 0.12 and record.sampled_dropout == 0.2211
    assert (record.first_line, record.last_line) == (2, 4)


def test_pruned_and_failed_trials_keep_their_state_and_reason(collect: Collect) -> None:
    collection = collect(
        log(
            CREATED,
            start(0, 1),
            f"{stamp(2)}Trial 0 pruned. ",
            start(1, 3),
            "[W 2025-01-02 03:04:00,000] Trial 1 failed with parameters: {'arch_idx': 21, "
            "'learning_rate': 0.00012345, 'epochs': 50, 'batch_size': 64} because of the following "
            "error: OutOfMemoryError('CUDA out of memory').",
            "Traceback (most recent call last):",
            "[W 2025-01-02 03:04:00,001] Trial 1 failed with value None.",
        )
    )
    pruned, failed = collection.studies[STUDY]
    assert pruned.state is TrialState.PRUNED and pruned.params[Param.LEARNING_RATE] == 0.000123
    assert pruned.tags["recovery.rounded"] == "learning_rate=0.000123"
    assert failed.state is TrialState.FAIL and failed.params[Param.LEARNING_RATE] == 0.00012345
    assert failed.failure_reason == "OutOfMemoryError('CUDA out of memory')"


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


def test_the_same_log_twice_is_one_study(collect: Collect) -> None:
    once = log(CREATED, start(0, 1), finish(0, 2))
    joined = collect(once + once)
    assert joined.trials == 1 and joined.accounting[0].repeated == 2
    assert collect(once, once).trials == 1
    assert collect(once, once.replace(b"\n", b"\r\n")).trials == 1


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


def test_colours_progress_bars_and_strange_bytes_hide_nothing(collect: Collect) -> None:
    bar = b"\r 10%|#   | 1/10 [00:01<00:09, 1.0it/s]"
    lines = [line.encode() for line in (CREATED, start(0, 1), finish(0, 2))]
    dirty = b"\xff\xfe junk\n" + b"\x1b[32m" + lines[0] + b"\x1b[0m\n" + bar + b"\r" + lines[1]
    dirty += b"\r\n" + bar + lines[2] + b"\n" + bar + b"\n"
    assert only(collect(dirty)).state is TrialState.COMPLETE


def test_a_packed_log_is_unpacked(collect: Collect) -> None:
    path = LEGACY / "2M_no_heads.log"
    assert collect(gzip.compress(path.read_bytes())).trials == 100


def test_a_line_that_the_file_ends_in_is_not_trusted(collect: Collect) -> None:
    whole = log(CREATED, start(0, 1), finish(0, 2), start(1, 3, "batch_size=512"))
    [accounting] = collect(whole[:-2]).accounting  # batch_size=51
    assert dict(accounting.rejected) == {"the file ends within the trial's line": 1}


@pytest.mark.parametrize(
    ("finish_line", "problem"),
    [
        (finish(1, 4).replace("'epochs': 50", "'epochs': 75"), "epochs is 50"),
        (finish(1, 4).replace("0.00012345", "0.00022345"), "learning_rate is 0.000123"),
        (finish(1, 4).replace("'arch_idx': 21", "'arch_idx': 22"), "arch_idx is 21"),
    ],
)
def test_lines_that_contradict_each_other_are_quarantined(
    collect: Collect, finish_line: str, problem: str
) -> None:
    lines = (
        CREATED,
        start(0, 1),
        finish(0, 2),
        start(1, 3),
        finish_line,
        start(2, 5),
        finish(2, 6),
    )
    validation = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY]))
    assert list(validation.errors) == [1]
    assert validation.errors[1][0].startswith(problem)
    assert problem in validation.quarantine_csv


def test_a_wrong_parameter_count_is_quarantined(collect: Collect) -> None:
    wrong = start(0, 1).replace(f"params={GRID[20].param_count:,}", "params=1,900,000")
    lines = (CREATED, wrong, finish(0, 2), start(1, 3), finish(1, 4))
    validation = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY]))
    assert validation.errors == {0: ("its parameter count is not what the formula gives",)}


def test_the_clock_of_the_log_is_read_in_its_zone(collect: Collect) -> None:
    content = log(CREATED, start(0, 1), finish(0, 2))
    utc, berlin = only(collect(content)), only(collect(content, timezone="Europe/Berlin"))
    assert utc.started_ms is not None and utc.started_ms - (berlin.started_ms or 0) == 3_600_000
    assert utc.fingerprint == berlin.fingerprint


def test_the_hour_that_comes_twice_in_autumn_does_not_run_backwards(collect: Collect) -> None:
    night = log(
        f"[I 2025-10-26 01:00:00,000] A new study created in memory with name: {STUDY}",
        start(0, 1).replace("2025-01-02 03:01", "2025-10-26 02:50"),
        finish(0, 2).replace("2025-01-02 03:02", "2025-10-26 02:10"),
    )
    record = only(collect(night, timezone="Europe/Berlin"))
    assert record.ended_ms is not None and record.started_ms is not None
    assert record.ended_ms - record.started_ms == 20 * 60_000
    assert not record.problems
    assert ZoneInfo("Europe/Berlin")


def test_a_project_param_without_a_name_of_ours_is_kept(collect: Collect) -> None:
    lines = [start(0, 1), finish(0, 2, more="'batch_size': 64, 'gamma': 0.9")]
    lines += [start(1, 3), finish(1, 4, more="'batch_size': 64, 'gamma': 0.8")]
    first, _ = collect(log(CREATED, *lines)).studies[STUDY]
    assert first.tags["recovery.param.gamma"] == "0.9" and not first.problems
    assert first.metrics == {Metric.BEST_VAL_LOSS: 0.5}


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


@pytest.mark.parametrize(
    "line",
    [
        finish(0, 2, more="'dropout': 'much'"),
        finish(0, 2, more="'epochs': __import__('os')"),
        f"Trial 0 ended: state=RUNNING, started={MOMENT}, ended={MOMENT}.",
        f"Trial 0: arch_idx=1, d_ff={'9' * 5000}, started={MOMENT}.",
    ],
)
def test_nonsense_is_neither_believed_nor_fatal(collect: Collect, line: str) -> None:
    collection = collect(log(CREATED, line, start(1, 3), finish(1, 4)))
    assert all(a.lines == a.accounted for a in collection.accounting)
    for name, records in collection.studies.items():
        validate(resolve(name, records))

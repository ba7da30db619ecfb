"""What the lines of one old trial say, in each of the forms that occur."""

from zoneinfo import ZoneInfo

from recovery.records import TimesFrom

from mlproject.tracking.names import Metric, Param, TrialState
from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, only, stamp, start


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

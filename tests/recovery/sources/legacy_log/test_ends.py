"""How old studies end, early and late, and what of it is in doubt."""

import pytest
from recovery.checks.validate import validate
from recovery.resolve import resolve

from mlproject.tracking.names import Metric, Param, TrialState
from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, only, stamp, start

SECTION = "[2/4] Starting: hpo_2M_h5_threshold_1pct.py"
BUFFERED = ("Starting HPO: 50 trials, 80 architectures...", f"  Output dir: /x/outputs/{STUDY}")
FIRST = (SECTION, CREATED, start(0, 1), finish(0, 2), start(1, 3))
TRACEBACK = ("Traceback (most recent call last):", '  File "x.py", line 1, in f', "    f()")
FAILED = (
    f"{stamp(4)}Trial 1 failed with parameters: {{'epochs': 50}} because of the following error: "
    "RuntimeError('out of memory')."
)


@pytest.mark.parametrize(
    "end",
    [
        (*BUFFERED, "✓ HPO complete in 0.0 min", "[2/4] PASSED: hpo_2M_h5_threshold_1pct.py"),
        (*BUFFERED, "✓ HPO complete in 0.0 min"),
        ("[2/4] FAILED: hpo_2M_h5_threshold_1pct.py", *BUFFERED),
        (*TRACEBACK, "ValueError: no", *BUFFERED),
        (*TRACEBACK, "KeyboardInterrupt", *BUFFERED),
        (*TRACEBACK, "KeyboardInterrupt", *BUFFERED, "[2/4] FAILED: hpo_2M_h5_threshold_1pct.py"),
    ],
)
def test_a_study_that_ended_early_has_lost_nothing(end: tuple[str, ...], collect: Collect) -> None:
    records = collect(log(*FIRST, finish(1, 4), *end)).studies[STUDY]
    assert [(r.state, r.problems) for r in records] == [(TrialState.COMPLETE, ())] * 2


def test_a_trial_that_failed_and_ended_its_script_keeps_its_reason(collect: Collect) -> None:
    lines = (*FIRST, FAILED, *TRACEBACK, "RuntimeError: out of memory")
    repeated = f"{stamp(4)}Trial 1 failed with value None."
    for end in (("[2/4] FAILED: hpo_2M_h5_threshold_1pct.py",), BUFFERED):
        _, failed = collect(log(*lines, repeated, *end)).studies[STUDY]
        assert (failed.state, failed.problems) == (TrialState.FAIL, ())
        assert failed.failure_reason == "RuntimeError('out of memory')"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ((), "the log ends before the trial does"),
        (
            ("[2/4] FAILED: hpo_2M_h5_threshold_1pct.py",),
            "the script failed before the trial ended",
        ),
        ((*TRACEBACK, "MemoryError: no"), "the script failed: MemoryError: no"),
    ],
)
def test_a_trial_that_was_killed_says_what_is_known(
    end: tuple[str, ...], reason: str, collect: Collect
) -> None:
    _, killed = collect(log(*FIRST, *end)).studies[STUDY]
    assert killed.state is TrialState.FAIL and not killed.problems
    assert (killed.failure_reason or "").startswith(reason)


def test_an_error_of_an_earlier_trial_is_not_that_of_the_last(collect: Collect) -> None:
    lines = (*FIRST, FAILED, *TRACEBACK, "RuntimeError: out of memory", start(2, 5))
    *_, killed = collect(log(*lines, "[2/4] FAILED: hpo_2M_h5_threshold_1pct.py")).studies[STUDY]
    assert "out of memory)" in (killed.failure_reason or "")  # killed or out of memory: not known


OTHER = CREATED.replace("_h5_", "_h1_").replace("03:00:00", "03:03:30")


def other(line: str, value: str = "0.75") -> str:
    """A line of another study's trial with the same number."""
    return (
        line.replace("0.000123", "0.000456")
        .replace("0.00012345", "0.00045678")
        .replace("0.5", value)
    )


@pytest.mark.parametrize(
    "lines",
    [
        # The first study's trial 1 ends among the second's: while that one's trial 1 is open,
        (other(start(0, 5)), other(finish(0, 6)), other(start(1, 7)), finish(1, 8)),
        # after it has ended,
        (*map(other, (start(0, 5), finish(0, 6), start(1, 7), finish(1, 8))), finish(1, 9)),
        # before it has begun,
        (other(start(0, 5)), other(finish(0, 6)), finish(1, 7)),
        # or where the other study has no such trial.
        (finish(1, 5), other(start(0, 6)), other(finish(0, 7))),
    ],
)
def test_a_trial_whose_end_stands_in_another_study_has_not_died(
    lines: tuple[str, ...], collect: Collect
) -> None:
    studies = collect(log(*FIRST[1:], OTHER, *lines)).studies
    errors = validate(resolve(STUDY, studies[STUDY])).errors
    assert list(errors) == [1] and "two processes wrote into one file" in errors[1][0]


def test_a_trial_that_ends_twice_puts_its_study_in_doubt(collect: Collect) -> None:
    lines = (*FIRST, finish(1, 4), other(finish(1, 5)), start(2, 6))
    errors = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY])).errors
    assert set(errors) == {0, 1, 2}
    assert all("two processes wrote into one file" in reasons[-1] for reasons in errors.values())


def test_a_trial_that_fails_and_finishes_leaves_only_what_proves_itself(collect: Collect) -> None:
    pruned = f"{stamp(7)}Trial 2 pruned. "
    lines = (*FIRST, FAILED, finish(1, 5), start(2, 6), pruned, start(3, 8), finish(3, 9))
    errors = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY])).errors
    assert set(errors) == {1, 2}


def test_a_line_that_optuna_repeats_without_its_stamp_is_no_second_end(collect: Collect) -> None:
    line = finish(1, 4)
    records = collect(log(*FIRST, line, line.partition("] ")[2], line)).studies[STUDY]
    assert not any(record.problems for record in records)


def test_the_values_of_a_study_that_maximises_are_no_losses(collect: Collect) -> None:
    lines = [CREATED]
    best = (0, "0.5")
    for number, value in enumerate(("0.5", "0.7", "0.6")):
        best = max(best, (number, value), key=lambda each: each[1])
        end = finish(number, 2 * number + 2).partition(". Best")[0]
        end = end.replace(f"value: 0.{number + 5}", f"value: {value}")
        lines += [start(number, 2 * number + 1)]
        lines += [f"{end}. Best is trial {best[0]} with value: {best[1]}."]
    errors = validate(resolve(STUDY, collect(log(*lines)).studies[STUDY])).errors
    assert set(errors) == {0, 1, 2}
    assert all("the study maximises its value" in reasons[0] for reasons in errors.values())


def test_a_trial_line_without_an_architecture_proves_the_rest(collect: Collect) -> None:
    def starting(number: int, minute: int) -> str:
        fields = "device=cpu, lr=0.000123, epochs=50, batch_size=64"
        return f"{stamp(minute)}Trial {number} starting: {fields}"

    ends = [finish(n, 2 * n + 2).replace(f"'arch_idx': {n + 20}, ", "") for n in range(2)]
    lines = (CREATED, starting(0, 1), ends[0], starting(1, 3), ends[1], starting(2, 5))
    collection = collect(log(*lines))
    validation = validate(resolve(STUDY, collection.studies[STUDY]))
    assert not validation.errors and not collection.accounting[0].rejected
    first, _, last = collection.studies[STUDY]
    assert first.params[Param.LEARNING_RATE] == 0.00012345 and first.params[Param.BATCH_SIZE] == 64
    assert first.metrics == {Metric.BEST_VAL_LOSS: 0.5}
    assert last.unfinished and last.params == {Param.EPOCHS: 50, Param.BATCH_SIZE: 64}


def test_a_log_of_optunas_lines_alone_is_not_damaged(collect: Collect) -> None:
    validation = validate(
        resolve(STUDY, collect(log(CREATED, *(finish(n, n + 1) for n in range(3)))).studies[STUDY])
    )
    assert not validation.errors


def test_a_trial_line_that_cannot_be_read_is_the_reason_that_is_given(collect: Collect) -> None:
    lines = (CREATED, start(0, 1), finish(0, 2), start(1, 3).replace("arch_idx", "arch"))
    worse = finish(1, 4).replace(
        "Best is trial 0 with value: 0.5", "Best is trial 1 with value: 0.4"
    )
    worse = worse.replace("value: 0.6", "value: 0.4")
    errors = validate(resolve(STUDY, collect(log(*lines, worse)).studies[STUDY])).errors
    [reasons] = errors.values()
    assert reasons == (
        "its trial line (line 4) cannot be read, and lines may be lost where it stands",
    )


@pytest.mark.parametrize("sign", [",", ".", "'", "’", " ", "_", "\u00a0", "\u202f", ""])
def test_thousands_may_be_parted_by_any_sign(sign: str, collect: Collect) -> None:
    plain = only(collect(log(CREATED, start(0, 1), finish(0, 2))))
    count = f"{plain.params[Param.PARAM_COUNT]:,}"
    line = start(0, 1).replace(count, count.replace(",", sign))
    found = only(collect(log(CREATED, line, finish(0, 2))))
    assert found.params == plain.params and not found.problems
    if sign:
        assert found.start_fingerprint == plain.start_fingerprint


@pytest.mark.parametrize("arrow", ["→", "?", "\x1a", "â†’", "->", "&rarr;", "\ufffd", ""])
def test_the_dropout_that_was_used_is_kept_whatever_became_of_the_arrow(
    arrow: str, collect: Collect
) -> None:
    forced = f"{stamp(1)}  {arrow} Forced dropout=0.27 for diversity (was 0.27, prev=0.19)"
    line = start(0, 1, "batch=256x1, dropout=0.27")
    end = finish(0, 2, more="'dropout': 0.26712345")
    record = only(collect(log(CREATED, forced, line, end)))
    assert record.params[Param.DROPOUT] == 0.27 and record.sampled_dropout == 0.26712345
    assert not record.problems


def test_a_dropout_that_may_have_been_forced_is_absent(collect: Collect) -> None:
    forced = f"{stamp(1)}  → Forced dropout=0.27 for diver#ity (was 0.27, prev=0.19)"
    line = start(0, 1, "batch=256x1, dropout=0.27")
    record = only(collect(log(CREATED, forced, line, finish(0, 2, more="'dropout': 0.26712345"))))
    assert Param.DROPOUT not in record.params and record.sampled_dropout == 0.26712345

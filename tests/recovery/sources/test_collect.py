"""Several sources of the same trials."""

import json
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from recovery.checks.validate import validate
from recovery.resolve import resolve
from recovery.sources.collect import Collector

from mlproject.tracking.names import Param
from tests.recovery.legacy_lines import CREATED, STUDY, Collect, finish, log, start
from tests.recovery.runs import run, trial_runs


def test_the_same_log_twice_is_one_study(collect: Collect) -> None:
    once = log(CREATED, start(0, 1), finish(0, 2))
    joined = collect(once + once)
    assert joined.trials == 1 and joined.accounting[0].repeated == 2
    assert collect(once, once).trials == 1
    assert collect(once, once.replace(b"\n", b"\r\n")).trials == 1


def summary(numbers: Sequence[int], directory: Path, **changes: object) -> Path:
    """What the old program saved of the trials that `finish` tells of, `arch_idx` included."""
    trials = [
        {
            "trial_number": n,
            "value": float(f"0.{n + 5}"),
            "params": {"learning_rate": 0.00012345, "epochs": 50, "arch_idx": n + 20} | changes,
        }
        for n in numbers
    ]
    content = {"experiment": STUDY, "timestamp": "2025-01-02T04:00:00", "trials": trials}
    path = directory / f"{STUDY}_all_trials.json"
    path.write_text(json.dumps(content))
    return path


def test_a_forced_trial_in_a_log_and_in_the_summary_of_a_resumed_study_is_one(
    tmp_path: Path, work_directory: Path
) -> None:
    """The summary names an `arch_idx` that the finish line of a forced trial has not."""
    ends = [finish(n, 2 * n + 2, "").replace(f"'arch_idx': {n + 20}, ", "") for n in range(2)]
    ends = [end.replace(", }", "}") for end in ends]
    path = tmp_path / "a.log"
    path.write_bytes(log(CREATED, start(0, 1), ends[0], start(1, 3), ends[1]))
    summary(range(2), tmp_path)
    for sources in ([path], [tmp_path], sorted(tmp_path.glob("*.json")), [path]):
        assert run("backfill", *sources) == 0
        assert len(trial_runs(work_directory)) == 2


def test_what_a_summary_has_more_of_doubles_no_trial(tmp_path: Path) -> None:
    collector = Collector(zone=UTC)
    path = tmp_path / "a.log"
    path.write_bytes(log(CREATED, start(0, 1), finish(0, 2)))
    collector.add_file(str(path))
    collector.add_file(str(summary([0], tmp_path, weight_decay=0.01)))
    [record] = collector.collection().studies[STUDY]
    assert not record.problems and record.params[Param.WEIGHT_DECAY] == 0.01


def test_sources_that_tell_of_different_ends_are_in_doubt(collect: Collect) -> None:
    pruned = f"{finish(0, 2).partition('Trial')[0]}Trial 0 pruned. "
    [record] = collect(
        log(CREATED, start(0, 1), pruned), log(CREATED, start(0, 1), finish(0, 2))
    ).studies[STUDY]
    assert record.problems == ("1.log tells of another end than 0.log",)


def test_a_log_that_another_repeats_in_part_lacks_no_trial(collect: Collect) -> None:
    lines = (CREATED, start(0, 1), finish(0, 2), start(1, 3), finish(1, 4))
    records = collect(log(*lines[:3]), log(*lines)).studies[STUDY]
    assert not validate(resolve(STUDY, records)).warnings

"""The genuine logs of the old program, against what that program saved itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recovery.cli import cli
from recovery.sources.collect import Collection

from mlproject.models.arch_grid import count_parameters
from mlproject.tracking.names import PARENT_RUN_ID_TAG
from tests.recovery.conftest import LEGACY, LOGS
from tests.recovery.runs import all_runs, trial_runs

pytestmark = pytest.mark.slow

GRIDS = {
    "phase6a_2M_h1_threshold_1pct": "v1/F20",
    "phase6a_2M_h3_threshold_1pct": "v1/F20",
    "phase6a_20M_h1_threshold_1pct": "v3/F25",
    "phase6a_20M_h3_threshold_1pct": "v3/F25",
}


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.stem)
def test_every_line_is_accounted_for(log: Path, collect: Callable[..., Collection]) -> None:
    [accounting] = collect(log.read_bytes()).accounting
    assert accounting.lines == log.read_bytes().count(b"\n") == accounting.accounted
    assert not accounting.rejected


def test_all_trials_come_in_with_the_values_that_the_old_program_saved(
    work_directory: Path, truth: dict[str, dict[int, dict[str, Any]]]
) -> None:
    assert cli.main(["backfill", str(LEGACY / "*.log")], standalone_mode=False) == 0
    runs = trial_runs(work_directory)
    assert len(runs) == 200 == sum(map(len, truth.values()))
    for run in runs:
        tags, params = run.data.tags, run.data.params
        trial = truth[tags["study_name"]][int(tags["trial_number"])]
        assert run.data.metrics["best_val_loss"] == trial["value"]
        for name in ("d_model", "n_layers", "n_heads", "param_count"):
            assert params[name] == str(trial[name])
        used_another_dropout = "recovery.sampled_dropout" in tags
        for name, value in trial["params"].items():
            if name == "dropout" and used_another_dropout:
                assert tags["recovery.sampled_dropout"] == str(value)
                assert params["dropout"] in ("0.12", "0.27")
            else:
                assert params[name] == str(value)
        assert int(params["param_count"]) == count_parameters(
            d_model=int(params["d_model"]),
            n_layers=int(params["n_layers"]),
            d_ff=int(params["d_ff"]),
            num_features=int(params["n_features"]),
        )
        assert tags["recovery.grid"] == GRIDS[tags["study_name"]]
        assert tags["recovery.n_heads_from"] == ("grid" if params["budget"] == "2M" else "log")
        assert tags["trial_state"] == "COMPLETE" and run.info.status == "FINISHED"
    assert sum("recovery.sampled_dropout" in run.data.tags for run in runs) == 4
    assert sum(run.data.tags.get("diverged") == "true" for run in runs) == sum(
        trial["value"] == 100.0 for trials in truth.values() for trial in trials.values()
    )
    assert sum("recovery.forced" in run.data.tags for run in runs) == 8


def test_a_run_has_the_times_and_the_place_of_its_lines(work_directory: Path) -> None:
    cli.main(["backfill", str(LEGACY / "2M_no_heads.log")], standalone_mode=False)
    [first] = [
        run
        for run in trial_runs(work_directory)
        if run.data.tags["study_name"].endswith("h1_threshold_1pct")
        and run.data.tags["trial_number"] == "0"
    ]
    assert first.info.start_time == 1795464891408  # 2026-11-23 20:14:51,408 UTC
    assert first.info.end_time == 1795464891429
    assert first.data.tags["recovery.source"] == "2M_no_heads.log"
    assert first.data.tags["recovery.lines"] == "22-23"
    parents = {r.info.run_id: r for r in all_runs(work_directory)}
    parent = parents[first.data.tags[PARENT_RUN_ID_TAG]]
    assert parent.info.run_name == "phase6a_2M_h1_threshold_1pct"
    assert parent.data.tags["recovery.logged_study_name"] == "phase6a_2M_h1_threshold_1pct_2M"
    assert parent.info.status == "FINISHED"
    assert parent.info.start_time == first.info.start_time
    assert parent.data.params["grid_version"] == "1" and parent.data.params["n_features"] == "20"

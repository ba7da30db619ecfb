"""The benchmark of many markets, in its smallest form."""

import shutil
from pathlib import Path

import pytest
from benchmarks.markets_load import measure
from benchmarks.planted_markets import random_walk, write_markets

from benchmarks import markets

SMALLEST = ("--markets", "1", "--rules", "momentum", "--draws", "0", "--trials", "1")


@pytest.mark.slow
def test_a_finished_study_is_kept_with_its_best_trial_s_losses(
    tmp_path: Path,
    mlflow_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(mlflow_template, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLPROJECT_CACHE", "")  # put back as it was, whatever is set meanwhile
    monkeypatch.setitem(markets.MAX_EPOCHS, 1, 1)
    markets.main([str(tmp_path), *SMALLEST])
    said = capsys.readouterr().out
    row = said.splitlines()[-1].split(" | ")
    assert row[:3] == ["| momentum", "1", "0"]
    prior, bayes, network = map(float, row[3:6])
    assert bayes < network < prior + 0.1
    monkeypatch.setattr(markets, "run_cell", None)
    markets.main([str(tmp_path), *SMALLEST])
    assert capsys.readouterr().out == said


def test_loading_is_measured_in_rows_and_seconds(tmp_path: Path) -> None:
    write_markets([random_walk(f"walk{seed}", seed, days=900) for seed in range(3)], tmp_path)
    found = measure(str(tmp_path))
    assert found["rows"] == 2700
    assert all(found[name] > 0 for name in ("read", "windows", "gather_ms", "peak"))

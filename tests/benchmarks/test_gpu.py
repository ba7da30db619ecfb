"""The benchmark of a GPU in its small form, on the CPU: it cannot be run often where it belongs."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import gpu, gpu_checks, gpu_speed


@pytest.mark.slow
def test_every_part_finds_something_and_the_cpu_trains_as_itself(
    tmp_path: Path,
    mlflow_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "study-1").mkdir()
    shutil.copy(mlflow_template, tmp_path / "study-1" / "mlflow.db")
    monkeypatch.setenv(gpu_checks.SWITCH, "0")  # put back as it was
    monkeypatch.setattr(gpu_speed, "SECONDS_OF_STEPS", 0.05)
    file = tmp_path / "gpu.json"
    found = gpu.main(["--device=cpu", "--small", f"--folder={tmp_path}", f"--json={file}"])
    assert json.loads(file.read_text(encoding="utf-8")) == found
    assert "failed:" not in capsys.readouterr().out
    assert all(check["passed"] is not False for check in found["checks"])
    assert sum(check["passed"] is True for check in found["checks"]) == 9
    assert [row["way"] for row in found["speed"]] == list(gpu_speed.WAYS)
    assert all(row["step_ms"] > 0 and not row["failed"] for row in found["speed"])
    (study,) = found["studies"]
    assert (study["workers"], study["finished_trials"], study["epochs"]) == (1, 1, 1)
    assert found["trial"][0]["epoch_s"] > 0


def test_a_check_that_goes_wrong_is_told_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")

    for name in ("against_the_cpu", "with_a_graph", "killed_and_resumed"):
        monkeypatch.setattr(gpu_checks, name, break_down)
    found = list(gpu_checks.rows(gpu.Scope(device="cpu", small=True, folder=tmp_path)))
    assert [check["passed"] for check in found] == [False, False, None, None, False]
    assert found[0]["check"] == "100k: CUDA error: an illegal memory access was encountered"

"""What the commands answer to what cannot be done."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from recovery.cli import cli

from mlproject.errors import UserError
from tests.recovery.conftest import LEGACY
from tests.recovery.runs import backfill, run

LOG = LEGACY / "20M_micro_batch.log"


def test_a_dry_run_writes_nothing(work_directory: Path) -> None:
    before = (work_directory / "mlflow.db").read_bytes()
    result = CliRunner().invoke(cli, ["backfill", str(LOG), "--dry-run"], standalone_mode=False)
    assert result.return_value == 0
    assert (
        "phase6a_20M_h3_threshold_1pct: 50 trials would be written, 0 quarantined" in result.output
    )
    assert "times are UTC" in result.output
    assert (work_directory / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize(
    ("content_of_log", "message"),
    [
        (b"", "no trial in bad.log"),
        (b"hello\n", "no trial in bad.log"),
        (b"\x1f\x8b broken", "bad.log cannot be read"),
    ],
)
def test_what_is_no_log_is_one_clear_line(
    tmp_path: Path, content_of_log: bytes, message: str
) -> None:
    path = tmp_path / "bad.log"
    path.write_bytes(content_of_log)
    with pytest.raises(UserError, match=message) as raised:
        run("inspect", path)
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere/*.log"], "no log at nowhere"),
        ([LOG, "--timezone", "Moon/Base"], "unknown time zone"),
        (["--optuna", "sqlite:////nowhere/at/all.db"], "there is no such file"),
        (["--optuna", "nonsense"], "cannot be read"),
    ],
)
def test_what_is_mistyped_is_one_clear_line(arguments: list[object], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        run("inspect", *arguments)
    assert raised.value.exit_code == 2 and "\n" not in str(raised.value)


def test_a_path_that_looks_like_an_option_is_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backfill("--experiment=", "--", "--dry-run", monkeypatch=monkeypatch) == 2
    assert "error: no log at --dry-run" in capsys.readouterr().err

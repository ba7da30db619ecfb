"""`mlproject links`: where the studies of a store are to be seen."""

from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]


def test_it_names_every_study_with_its_links_at_the_address(
    legacy_store: Path, command: Command
) -> None:
    code, said, _ = command("links", "--address", "http://127.0.0.1:5050/", "--most", "3")
    assert code == 0
    lines = said.splitlines()
    studies = [line for line in lines if not line.startswith(" ")]
    assert len(studies) == 3
    for study in studies:
        trials = lines[lines.index(study) + 1].split()
        assert trials[0] == "trials"
        assert trials[1].startswith("http://127.0.0.1:5050/#/experiments/")
        assert trials[1].endswith(f"viewStateShareKey={study}")


def test_a_store_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    code, said, _ = command("links")
    assert (code, said) == (0, "no study yet\n")
    assert not (tmp_path / "elsewhere.db").exists()

"""Which files are read, and what is said of the others."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from recovery.sources.find import NoSuchLog, find_logs

from mlproject.tracking.names import TrialState
from tests.recovery.conftest import read
from tests.recovery.legacy_lines import CREATED, STUDY, finish, log, start
from tests.recovery.runs import run

LINES = (CREATED, start(0, 1), finish(0, 2), start(1, 3), finish(1, 4), start(2, 5), finish(2, 6))


def names(directory: Path, *given: str) -> list[list[str]]:
    patterns = [str(directory / name) for name in given] or [str(directory)]
    return [[file.name for file in files] for files in find_logs(patterns).logs]


@pytest.mark.parametrize(
    "name",
    ["a.log", "a.log.1", "a.log-20251212", "a.log.2025-12-12", "nohup.out", "slurm-7.out", "a.txt"],
)
@pytest.mark.parametrize(
    "pack", [None, gzip, bz2, lzma], ids=lambda p: p.__name__ if p else "plain"
)
def test_logs_are_known_by_their_names_and_unpacked(
    name: str, pack: object, tmp_path: Path
) -> None:
    content = log(*LINES)
    suffix = {None: "", gzip: ".gz", bz2: ".bz2", lzma: ".xz"}[pack]  # type: ignore[index]
    packed = content if pack is None else pack.compress(content)  # type: ignore[attr-defined]
    (tmp_path / f"{name}{suffix}").write_bytes(packed)
    assert run("inspect", tmp_path) == 0


def test_the_logs_in_an_archive_are_read_one_by_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "old.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("runs/a.log", log(*LINES[:3]))
        archive.writestr("runs/b.log", log(CREATED.replace("_h5_", "_h1_"), *LINES[1:3]))
        archive.writestr("runs/picture.png", b"\x89PNG")
    assert names(tmp_path) == [["old.zip/runs/a.log"], ["old.zip/runs/b.log"]]
    assert run("inspect", tmp_path) == 0


def test_other_names_are_known_by_what_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "screenlog.0").write_bytes(log(*LINES))
    (tmp_path / "notes.md").write_text("buy milk")
    (tmp_path / "model.pt").write_bytes(b"\0" * 5000)
    assert run("inspect", tmp_path) == 0
    said = capsys.readouterr().out
    assert "3 trials in 1 studies" in said
    assert "not read, for no line of a study is in them: model.pt, notes.md" in said


@pytest.mark.parametrize(
    "order",
    [
        ["a.log.2.gz", "a.log.1", "a.log"],
        ["a.log-20251210", "a.log-20251211", "a.log"],
        ["a.log.2025-12-10", "a.log.2025-12-11", "a.log"],
        ["a.2025-12-10_14-12-00_000001.log", "a.2025-12-11_14-12-00_000001.log", "a.log"],
        ["a.2.log", "a.1.log", "a.log"],
        ["a.log.1", "a.log.0", "a.log"],
        ["a.log.2", "a.log.old", "a.log"],
        ["a.log.00", "a.log.01", "a.log.02"],
        ["a.log.aa", "a.log.ab", "a.log.ac"],
        ["a_part1.log", "a_part2.log", "a_part3.log"],
    ],
)
def test_a_rotated_log_is_read_as_one(order: list[str], tmp_path: Path) -> None:
    for name, lines in zip(order, (LINES[:2], LINES[2:5], LINES[5:]), strict=True):
        content = log(*lines)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert names(tmp_path) == [order] == names(tmp_path, *sorted(order, key=len))
    whole = read(log(*LINES), directory=tmp_path).studies[STUDY]
    from datetime import UTC

    from recovery.sources.collect import Collector

    collector = Collector(zone=UTC)
    collector.add_log(find_logs([str(tmp_path / name) for name in order]).logs[0])
    collection = collector.collection()
    found = collection.studies[STUDY]
    assert [r.start_fingerprint for r in found] == [r.start_fingerprint for r in whole]
    assert {r.state for r in found} == {TrialState.COMPLETE} and not any(r.problems for r in found)
    assert collection.accounting[0].lines == len(LINES)


def test_a_rotated_log_with_a_part_missing_is_not_joined_across_it(tmp_path: Path) -> None:
    for name in ("a.log.3", "a.log.1", "a.log"):
        (tmp_path / name).write_bytes(log(*LINES))
    assert names(tmp_path) == [["a.log.3"], ["a.log.1", "a.log"]]


def test_what_became_of_a_trial_in_a_missing_part_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process did not die where the part before ends."""
    (tmp_path / "a.log.2").write_bytes(log(*LINES[:4]))
    (tmp_path / "a.log").write_bytes(log(CREATED.replace("_h5_", "_h1_"), *LINES[1:3]))
    assert run("inspect", tmp_path) == 1
    said = capsys.readouterr().out
    assert "the file that followed a.log.2 when the log was rotated is missing" in said
    assert f"{STUDY}: 1 trials sound, 1 quarantined" in said


def test_a_tape_archive_is_read_and_what_is_packed_in_an_archive_too(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log.1.gz").write_bytes(gzip.compress(log(*LINES[:4])))
    (tmp_path / "logs" / "a.log").write_bytes(log(*LINES[4:]))
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as tape:
        tape.add(tmp_path / "logs", "logs")
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        for path in (tmp_path / "logs").iterdir():
            archive.write(path, path.name)
    for name in ("old.tar.gz", "old.zip"):
        assert run("inspect", tmp_path / name) == 0


def test_what_is_packed_in_a_way_that_is_not_read_is_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").write_bytes(log(*LINES))
    (tmp_path / "b.log.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(50))
    assert run("inspect", tmp_path) == 1
    assert "it is packed with zstd: unpack it" in capsys.readouterr().out


def test_what_can_be_read_of_a_packed_log_that_is_cut_off_comes_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(log(*LINES[:4], *(str(n) * 9 for n in range(500))))
    (tmp_path / "a.log.gz").write_bytes(packed[:-20])
    assert run("inspect", tmp_path) == 1
    said = capsys.readouterr().out
    assert f"{STUDY}: 1 trials sound, 1 quarantined" in said
    assert "its log cannot be read to the end" in said


def test_a_directory_without_a_log_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("buy milk")
    with pytest.raises(NoSuchLog, match=r"holds a line of a study: notes\.md"):
        find_logs([str(tmp_path)])


def test_a_source_without_a_trial_is_named_and_never_exit_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.log").write_bytes(log(*LINES))
    (tmp_path / "server.log").write_text("GET / 200\n")
    assert run("inspect", tmp_path) == 1
    assert "server.log: 1 lines" in (said := capsys.readouterr().out)
    assert "no trial in it" in said


def test_a_source_that_cannot_be_read_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a_all_trials.json").write_text("{")
    (tmp_path / "b.log").write_bytes(log(*LINES))
    packed = gzip.compress(log(CREATED.replace("_h5_", "_h1_"), *LINES[1:3], *["words"] * 9999))
    (tmp_path / "c.log.gz").write_bytes(packed[: len(packed) // 2])
    assert run("inspect", tmp_path) == 1
    said = capsys.readouterr().out
    assert "a_all_trials.json is not a summary of trials" in said
    assert "c.log.gz cannot be read" in said
    assert f"{STUDY}: 3 trials sound" in said


def test_the_same_log_under_two_names_is_no_empty_source(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(log(*LINES))
    assert run("inspect", tmp_path) == 0

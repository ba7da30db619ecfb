"""Files are written whole, and through no link that somebody else laid."""

from pathlib import Path

import pytest

from mlproject.text.written_files import CannotWrite, copy_folder, write_text


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("report.html", "hpo.py"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).symlink_to(precious)
    source = tmp_path / "source"
    source.mkdir()
    (source / "report.html").write_text("page")
    copy_folder(source, tmp_path / "out")
    write_text(tmp_path / "out" / "hpo.py", "script")
    assert precious.read_text() == "mine"
    assert (tmp_path / "out" / "report.html").read_text() == "page"
    assert (tmp_path / "out" / "hpo.py").read_text() == "script"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["hpo.py", "report.html"]


def test_a_folder_that_is_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "source" / "figures").mkdir(parents=True)
    (tmp_path / "source" / "figures" / "map.png").write_text("")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "figures").symlink_to(elsewhere)
    with pytest.raises(CannotWrite, match="a link leads out of"):
        copy_folder(tmp_path / "source", tmp_path / "out")
    assert not list(elsewhere.iterdir())


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.csv").write_text("a")
    copy_folder(tmp_path / "source", tmp_path / "out")
    assert (tmp_path / "disk" / "a.csv").read_text() == "a"

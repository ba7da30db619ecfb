"""Files that a command writes where the user says."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlproject.errors import UserError


class CannotWrite(UserError):
    """The place given for a file cannot be written to."""


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Make the folder of a file that the block writes.

    Raises:
        CannotWrite: the system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path} ({error.strerror}): give a place that can be written to"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file, its folder made if missing.

    Raises:
        CannotWrite: the system refuses.
    """
    with written(path):
        path.write_text(text, encoding="utf-8")


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder to another, which may exist.

    Raises:
        CannotWrite: the system refuses.
    """
    for path in (each for each in sorted(source.rglob("*")) if each.is_file()):
        copy = target / path.relative_to(source)
        with written(copy):
            shutil.copyfile(path, copy)

"""Files that a command writes where the user says.

A file appears whole or not at all, and takes the place of a link instead of writing through it:
somebody else who may write to the folder cannot lead the program to another file.
"""

import shutil
import tempfile
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
    with written(path), _replacement(path) as new:
        new.write_text(text, encoding="utf-8")


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder to another, which may exist.

    Raises:
        CannotWrite: the system refuses, or a folder in `target` is a link that leads out of it.
    """
    for path in (each for each in sorted(source.rglob("*")) if each.is_file()):
        copy = target / path.relative_to(source)
        if not copy.parent.resolve().is_relative_to(target.resolve()):
            raise CannotWrite(f"cannot write {copy}: a link leads out of {target}; remove it")
        with written(copy), _replacement(copy) as new:
            shutil.copyfile(path, new)


@contextmanager
def _replacement(path: Path) -> Iterator[Path]:
    """A new file in the same folder, which takes the place of `path` when the block has ended."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        new = Path(folder) / path.name
        yield new
        new.replace(path)

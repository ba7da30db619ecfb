"""Files that a command writes where the user says."""

from pathlib import Path

from mlproject.errors import UserError


class CannotWrite(UserError):
    """The place given for a file cannot be written to."""


def write_text(path: Path, text: str) -> None:
    """Write a file, its folder made if missing.

    Raises:
        CannotWrite: the system refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path} ({error.strerror}): give a place that can be written to"
        ) from error

"""Where logs are read from: files, ``.gz``, directories, globs and standard input."""

import glob
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mlproject.errors import UserError

STANDARD_INPUT = "-"
SUFFIXES = (".log", ".log.gz", ".txt", ".txt.gz", "_all_trials.json")
"""What is read of a directory; a file that is named is read whatever it is called."""

MAX_LINE_BYTES = 1 << 20
KEPT_BYTES = 1 << 16
"""Of a longer line only the end is kept: progress bars overwrite their line for hours, and the
message that follows them stands at its end."""

BLOCK_BYTES = 1 << 14
"""Small, so that most blocks of a long log have nothing but noise in them."""
_GZIP_MAGIC = b"\x1f\x8b"


class NoSuchLog(UserError):
    """A path or pattern that names no file."""


class UnreadableLog(UserError):
    """A file that cannot be opened or read to its end."""


def find_logs(patterns: Sequence[str]) -> list[str]:
    """The files that paths, directories and globs name, each once, in the order given.

    Raises:
        NoSuchLog: one of them names none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        paths = [pattern] if pattern == STANDARD_INPUT else _expand(pattern)
        if not paths:
            raise NoSuchLog(
                f"no log at {pattern}: give a file, a directory, a glob, or - for stdin"
            )
        found.update(dict.fromkeys(paths))
    return list(found)


@contextmanager
def open_log(path: str) -> Iterator[BinaryIO]:
    """The bytes of a log, unpacked if it is packed with gzip.

    Raises:
        UnreadableLog: it cannot be opened, or reading fails half-way.
    """
    shown = "standard input" if path == STANDARD_INPUT else path
    try:
        with _open(path) as stream:
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableLog(f"{shown} cannot be read ({reason})") from error


def blocks_of(stream: BinaryIO) -> Iterator[bytes]:
    """The content in constant memory, in blocks that end with a line's end, the last one apart."""
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        whole, newline, tail = block.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = tail
        else:
            rest += block
            if len(rest) > MAX_LINE_BYTES:
                rest = rest[-KEPT_BYTES:]
    if rest:
        yield rest


def _expand(pattern: str) -> list[str]:
    path = Path(pattern)
    if path.is_dir():
        return sorted(str(p) for p in path.rglob("*") if p.is_file() and p.name.endswith(SUFFIXES))
    if path.exists():
        return [pattern]
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 - may be absolute
    return sorted(match for match in matches if Path(match).is_file())


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with Path(path).open("rb", buffering=1 << 18) as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if packed:
            with gzip.open(file) as unpacked:
                yield cast(BinaryIO, io.BufferedReader(unpacked, 1 << 18))
        else:
            yield file

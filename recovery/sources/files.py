"""How the bytes of a log are read: a file, packed or in an archive, or standard input."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, BinaryIO, cast

from mlproject.errors import UserError

STANDARD_INPUT = "-"

MAX_LINE_BYTES = 1 << 20
KEPT_BYTES = 1 << 16
"""Of a longer line only the end is kept: progress bars overwrite their line for hours, and the
message that follows them stands at its end."""

BLOCK_BYTES = 1 << 14
"""Small, so that most blocks of a long log have nothing but noise in them."""
_BUFFER = 1 << 18
_PACKED: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
"""How a packed file begins, and what unpacks it."""
_NOT_UNPACKED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
}
_LONGEST_MAGIC = 8
_TAR_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst", ".lz4", ".Z")
_BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
)
"""An archive may be encrypted, cut off, or packed in a way that nobody knows."""


class UnreadableLog(UserError):
    """A file that cannot be opened or read to its end."""


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """One file to read, which may lie in an archive."""

    path: str
    """`STANDARD_INPUT` for standard input."""
    member: str | None = None
    """Its name inside an archive."""
    missing_next: str | None = field(default=None, compare=False)
    """The file in which it went on, where it was rotated and that one is not there."""

    @property
    def name(self) -> str:
        """What a user knows it by."""
        if self.path == STANDARD_INPUT:
            return "stdin"
        name = PurePath(self.path).name
        return f"{name}/{self.member}" if self.member else name

    @property
    def place(self) -> str:
        """Its path, without what it is packed with: rotated files share its beginning."""
        place = f"{self.path}/{self.member}" if self.member else self.path
        suffix = PurePath(place).suffix
        return place.removesuffix(suffix) if suffix in PACKED_SUFFIXES else place

    @property
    def is_json(self) -> bool:
        """Whether it is a summary of trials, by its name."""
        return self.place.endswith(".json")


@contextmanager
def open_log(path: str, member: str | None = None) -> Iterator[BinaryIO]:
    """The bytes of a log, unpacked if it is packed; of a `member` of an archive if one is named.

    What can be read of a packed file that is cut off or damaged is read before it is said so.

    Raises:
        UnreadableLog: it cannot be opened, or reading fails half-way.
    """
    shown = "standard input" if path == STANDARD_INPUT else path
    try:
        with _open(path, member) as stream:
            yield stream
    except _BROKEN as error:
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


def members_of(path: str) -> list[LogFile]:
    """The file itself, or the files in it where it is called an archive."""
    try:
        if path.lower().endswith(".zip"):  # a model's file may be an archive too
            with zipfile.ZipFile(path) as archive:
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
        elif path.lower().endswith(_TAR_SUFFIXES):
            with tarfile.open(path) as tape:
                names = [info.name for info in tape if info.isfile()]
        else:
            return [LogFile(path=path)]
    except _BROKEN:
        return [LogFile(path=path)]  # to be named when it is read
    return [LogFile(path=path, member=name) for name in sorted(names)]


class _Salvaged(io.RawIOBase):
    """What can be read of a packed file; `error` is what ended it."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        try:
            part = self._source.read1(len(buffer))
        except _BROKEN as error:
            self.error = error
            return 0
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def _open(path: str, member: str | None) -> Iterator[BinaryIO]:
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
    elif member is None:
        with Path(path).open("rb", buffering=_BUFFER) as plain, _unpacked(plain) as stream:
            yield stream
    elif path.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive, _member(archive, member) as stream:
            yield stream
    else:
        with tarfile.open(path) as tape:
            packed = tape.extractfile(member)
            if packed is None:
                raise UnreadableLog(f"{member} in {path} is no file")
            with _unpacked(cast(BinaryIO, packed)) as stream:
                yield stream


@contextmanager
def _unpacked(packed: BinaryIO) -> Iterator[BinaryIO]:
    head = packed.read(_LONGEST_MAGIC)
    packed.seek(0)
    for magic, program in _NOT_UNPACKED.items():
        if head.startswith(magic):
            raise OSError(f"it is packed with {program}: unpack it, and give what is in it")
    unpack = next((u for magic, u in _PACKED.items() if head.startswith(magic)), None)
    if unpack is None:
        yield packed
        return
    with unpack(packed) as unpacked:
        salvaged = _Salvaged(unpacked)
        yield cast(BinaryIO, io.BufferedReader(salvaged, _BUFFER))
        if salvaged.error is not None:
            raise salvaged.error


@contextmanager
def _member(archive: zipfile.ZipFile, name: str) -> Iterator[BinaryIO]:
    try:
        with archive.open(name) as stream, _unpacked(cast(BinaryIO, stream)) as unpacked:
            salvaged = _Salvaged(unpacked)
            yield cast(BinaryIO, io.BufferedReader(salvaged, _BUFFER))
            if salvaged.error is not None:
                raise salvaged.error
    except RuntimeError as error:  # it wants a password
        raise UnreadableLog(f"{archive.filename} cannot be read ({error})") from error

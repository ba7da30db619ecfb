"""Logs that are no UTF-8: what PowerShell and Windows editors write, as bytes of UTF-8."""

import codecs
import io
from typing import BinaryIO, cast

BOM = codecs.BOM_UTF8
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_BLOCK = 1 << 16
_PEEKED = 64
_WESTERN = 64
"""So many bytes without a zero are no UTF-16 of a log, whose words are Latin."""


def decoded(stream: BinaryIO) -> tuple[BinaryIO, str | None]:
    """The stream in UTF-8, and the name of its encoding where that is another.

    UTF-16 is known by its mark at the beginning, or by a zero in every second byte.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else None
    if buffered is None:
        buffered = io.BufferedReader(cast(io.RawIOBase, stream), _BLOCK)
    head = buffered.peek(_PEEKED)[:_PEEKED]
    encoding = _wide(head)
    if encoding is None:
        return buffered, None
    wide = io.BufferedReader(_Transcoded(buffered, encoding), _BLOCK)
    return wide, encoding.upper()


def _wide(head: bytes) -> str | None:
    pairs = len(head) // 2
    low, high = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    marked = _WIDE.get(head[:2])
    if marked:  # two bytes of any other junk may look like the mark
        return marked if (low, high)[marked == "utf-16-le"] * 2 >= pairs else None
    if pairs >= 8 and {low, high} == {0, pairs}:
        return "utf-16-le" if high else "utf-16-be"
    return None


def without_zeros(block: bytes) -> bytes:
    """Lines of UTF-16 that were added to a log of another encoding, as bytes of ASCII.

    PowerShell's ``>>`` does that. Zeros side by side are something else, and stay.
    """
    lines = block.split(b"\n")
    return b"\n".join(_narrow(line) if _is_wide(line) else line for line in lines)


def _narrow(line: bytes) -> bytes:
    mark = line.lstrip(b"\0")[:2]
    return line.replace(mark, b"", int(mark in _WIDE)).replace(b"\0", b"")


def _is_wide(line: bytes) -> bool:
    return 0 < len(line) <= 3 * line.count(0) and b"\0\0" not in line


class _Transcoded(io.RawIOBase):
    """UTF-16 in, UTF-8 out; what is no text becomes U+FFFD.

    Lines that another program added in UTF-8 are left as they are.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._rest = b""
        self._is_wide = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._rest:
            block = self._stream.read(_BLOCK)
            # The last zero is one half of a line's end, whichever half comes first.
            wide = len(block) if self._is_wide else 0
            last = block.rfind(0) + 1
            if self._is_wide and len(block) - last > _WESTERN:
                wide = last + last % 2
                self._is_wide = False
            text = self._decoder.decode(block[:wide], final=not block)
            self._rest = text.replace("\ufeff", "").encode("utf-8", "replace") + block[wide:]
            if not block:
                break
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

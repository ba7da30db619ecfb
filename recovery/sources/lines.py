"""One raw line of a log: freed of terminal codes, its time stamp apart, named if it is noise."""

import re
from codecs import BOM_UTF8
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import lru_cache

_TERMINAL_CODE = re.compile(rb"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_SHOWN_CODE = re.compile(
    rb"(?:\^\[|#033|\\x1b|\\033|\\u001b|\\e|\xe2\x90\x9b)?\[(?:\d{1,3}(?:;\d{1,3}){0,8})?m"
)
"""A colour whose escape sign was lost or spelt out, as `cat -v`, syslog and web pages do."""
_RESETS = (b"[0m", b"[m")
"""What stands behind every coloured text, and next to never elsewhere."""
UNUSUAL = (b"\r", b"\x1b", b"\0", BOM_UTF8[:1], *_RESETS)
"""Where a block has none of these, `clean` would change no line of it."""
_STAMP = re.compile(rb"\[[DIWEC] (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] ?")
_STAMP_BYTES = len(b"[I 2026-11-23 20:14:51,408] ")
_BAR = re.compile(rb"%\||it/s|s/it")
_RULER = b"=-_*#~"


class Noise(StrEnum):
    """The kinds of lines that tell nothing of a trial."""

    BLANK = "blank"
    RULER = "ruler"
    PROGRESS = "progress bar"
    TRACEBACK = "traceback"
    SECTION = "section or study heading"
    RUNNER = "message of the runner or a script"
    LOGGER = "message of a logger"
    NOT_TEXT = "not text"
    WRAPPED = "rest of a wrapped line"


def clean(raw: bytes) -> bytes:
    """The line as a terminal would show it last: without codes, after the last carriage return."""
    # A loss of power leaves zeros where a file had grown.
    line = raw.rstrip(b"\r\n\0").lstrip(b"\0").removeprefix(BOM_UTF8)
    if b"\x1b" in line:
        line = _TERMINAL_CODE.sub(b"", line)
    if any(reset in line for reset in _RESETS):
        line = _SHOWN_CODE.sub(b"", line)
    if b"\r" in line:
        line = next((part for part in reversed(line.split(b"\r")) if part.strip()), b"")
    return line


def split_stamp(line: bytes) -> tuple[bytes | None, bytes]:
    """The time stamp of a line, if it has one, and what follows it.

    A message that follows a progress bar on its line is found too. A stamp anywhere else in the
    line means that two writers ran into each other, and such a line is left as it is.
    """
    if line[:1] == b"[" and line[_STAMP_BYTES - 2 : _STAMP_BYTES - 1] == b"]":
        match = _STAMP.match(line)
        if match:
            return match[1], line[match.end() :]
    if b"%|" in line or b"it/s" in line:
        match = _STAMP.search(line)
        if match and _BAR.search(line, 0, match.start()):
            return match[1], line[match.end() :]
    return None, line


def noise_kind(line: bytes, *, has_stamp: bool) -> Noise:
    """What kind of noise a cleaned line without its stamp is."""
    if not line or line.isspace():
        kind = Noise.BLANK
    elif not line.strip(_RULER):
        kind = Noise.RULER
    elif b"%|" in line or b"it/s" in line:
        kind = Noise.PROGRESS
    elif line.startswith((b"Traceback", b"  File ", b"    ")) or b"Error: " in line:
        kind = Noise.TRACEBACK
    elif has_stamp:
        kind = Noise.LOGGER
    else:
        kind = Noise.RUNNER if line.isascii() or _is_text(line) else Noise.NOT_TEXT
    return kind


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def milliseconds(stamp: bytes, zone: tzinfo, *, not_before: int | None = None) -> int | None:
    """The instant of a stamp in `zone`, in ms since the epoch; None if there is no such time.

    The hour that a clock repeats in autumn is read so that time does not run backwards.
    """
    try:
        first, second = _second_ms(stamp[:-4], zone)
    except ValueError:
        return None
    fraction = int(stamp[-3:])
    if not_before is not None and first + fraction < not_before <= second + fraction:
        return second + fraction
    return first + fraction


@lru_cache(1024)
def _second_ms(stamp: bytes, zone: tzinfo) -> tuple[int, int]:
    wall = datetime.fromisoformat(stamp.decode("ascii"))
    first, second = (int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    return first * 1000, second * 1000

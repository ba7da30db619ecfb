"""What other programs put before each line of a log, or around it.

Docker, compose, kubernetes, journald, `ts`, `grep -n` and mail put something before each line, and
Docker's own files hold each line in JSON. Nothing is known of these programs here: a prefix is what
stands before the messages of a study, has the same shape before each of them, and stands before
most other lines too. Two writers that ran into each other leave no such trace.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recovery.sources.line_kinds import MESSAGE, NEEDLES

MAX_PREFIX = 200
_MOMENT = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_TOKEN = re.compile(rb"(%b)|([0-9A-Za-z]+)|([ \t]+)|(.)" % _MOMENT, re.DOTALL)
_PROGRESS = (b"%|", b"it/s", b"\r")


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """How a line is freed of what another program added."""

    example: str
    remove: Callable[[bytes], bytes | None]
    """The line without it; None where it does not bear it."""


def is_suspicious(block: bytes) -> bool:
    """Whether the first or last message of a block may not stand at the beginning of its line.

    Fast, and asked of each block that speaks of a trial.
    """
    for needle in NEEDLES:
        first = block.find(needle)
        if first < 0:
            continue
        for place in {first, block.rfind(needle)}:
            begin = block.rfind(b"\n", 0, place) + 1
            if (
                begin != place
                and not MESSAGE.match(block, begin)
                and MESSAGE.search(block, begin, place + 80)
                and not any(bar in block[begin:place] for bar in _PROGRESS)
            ):
                return True
    return False


def find_prefix(lines: Sequence[bytes]) -> Prefix | None:
    """The prefix that the messages among `lines` share; None where nothing proves one."""
    starts = [(line, match.start()) for line in lines if (match := MESSAGE.search(line))]
    inside = [(line, start) for line, start in starts if 0 < start <= MAX_PREFIX]
    for line, start in inside[:8]:
        head = line[:start]
        if any(bar in head for bar in _PROGRESS):
            continue
        prefix = _enclosing(line) if line[:1] == b"{" else _shaped(head)
        if prefix is not None and _is_proven(prefix, lines[lines.index(line) :]):
            return prefix
    return None


def _is_proven(prefix: Prefix, lines: Sequence[bytes]) -> bool:
    told = [line for line in lines if line.strip()]
    freed = [rest for line in told if (rest := prefix.remove(line)) is not None]
    messages = sum(MESSAGE.match(rest) is not None for rest in freed)
    enough = messages > 1 or (messages == 1 and len(freed) == len(told) > 1)
    return enough and 2 * len(freed) >= len(told)


def _shaped(head: bytes) -> Prefix:
    """Words and numbers may change from line to line, everything between them may not."""
    shape = [
        _MOMENT if moment else rb"[0-9A-Za-z]+" if word else rb"[ \t]+" if gap else re.escape(sign)
        for moment, word, gap, sign in _TOKEN.findall(head)
    ]
    if shape[0] == rb"[ \t]+":
        shape[0] = rb"[ \t]*"  # numbers that are set to the right
    # Of an empty line the blank at the end of its prefix may be gone.
    alone = b"".join(shape[:-1] if shape[-1] == rb"[ \t]+" else shape)
    pattern = re.compile(rb"%b|%b$" % (b"".join(shape), alone or b"$"))

    def remove(line: bytes) -> bytes | None:
        match = pattern.match(line)
        return line[match.end() :] if match else None

    return Prefix(example=_shown(head), remove=remove)


def _enclosing(line: bytes) -> Prefix | None:
    """A line of JSON, one of whose fields is the line that was logged."""
    fields = _fields(line)
    for key, value in fields.items():
        if isinstance(value, str) and MESSAGE.match(value.encode("utf-8", "replace")):

            def remove(line: bytes, key: str = key) -> bytes | None:
                value = _fields(line).get(key)
                if not isinstance(value, str):
                    return None
                # A line that holds another would be counted once: the last one is kept.
                text = value.rstrip("\n").rpartition("\n")[2]
                return text.encode("utf-8", "replace")

            return Prefix(example=f'{{"{key[:60]}": …}}', remove=remove)
    return None


def _fields(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _shown(head: bytes) -> str:
    text = head.decode("utf-8", "replace")
    return f"'{text}'" if len(text) < 60 else f"'{text[:60]}…'"

"""Lines that a terminal, a pager or a mail program broke at its width, joined where that is proven.

A log was wrapped at W columns if no line is longer, several are exactly as long, and a message of a
study that cannot be read alone can be read with the lines that follow it. Where lines are broken
between words, the next word would not have fitted. Half lines that a damaged log is left with have
other, longer lines beside them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recovery.sources.legacy_log.trial_lines import is_whole_trial_line
from recovery.sources.line_kinds import CREATED, MESSAGE, REUSED, SECTION
from recovery.sources.lines import split_stamp
from recovery.study_names import facts_of, from_logged_name

LEAST_COLUMNS = 40
MOST_COLUMNS = 400
"""Lines of finished trials are shorter than that: such a terminal breaks none."""
_FINISHED = b" finished with value: "
_WHOLE_END = re.compile(rb"\}\. Best is trial \d{1,9} with value: [^\s]{1,60}\.\s{0,9}$")
MOST_PROOFS = 50
"""So many broken messages are enough to tell how they are broken."""
MOST_LINES = 16
"""More lines no message is broken into."""


@dataclass(frozen=True, kw_only=True)
class Wrapping:
    """How lines were broken."""

    columns: int
    at_words: bool = False
    """Whether between words, as mail programs do, and not wherever a line is full."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The lines of a block with broken ones put together."""

    lines: list[bytes | None]
    """None in the place of a line that was joined to the one before it."""
    held: list[bytes]
    """Lines at the end that may go on in the next block."""


def may_be_wrapped(lines: Sequence[bytes], block: bytes) -> bool:
    """Whether a message in a block with messages may be broken; fast where none is."""
    first = block.find(_FINISHED)
    if first >= 0:
        return not all(
            _WHOLE_END.search(block, place, _end(block, place))
            for place in {first, block.rfind(_FINISHED)}
        )
    lengths = list(map(len if block.isascii() else _columns, lines))
    width = max(lengths, default=0)
    if not LEAST_COLUMNS <= width <= MOST_COLUMNS or lengths.count(width) < 2:
        return False
    full = [line for line, length in zip(lines, lengths, strict=True) if length == width]
    return any(MESSAGE.search(line) for line in full)


def _end(block: bytes, place: int) -> int:
    """Where the line at `place` ends."""
    end = block.find(b"\n", place)
    return len(block) if end < 0 else end


def find_wrapping(lines: Sequence[bytes]) -> tuple[Wrapping | None, bool]:
    """How lines are broken, and whether that is proven; None where nothing looks so."""
    lengths = [_columns(line) for line in lines]
    width = max(lengths, default=0)
    if not LEAST_COLUMNS <= width <= MOST_COLUMNS:
        return None, False
    messages = [place for place, line in enumerate(lines) if MESSAGE.search(line)]
    broken = [place for place in messages if not _is_whole(lines[place])]
    proofs = {
        wrapping: sum(
            _is_whole(b"".join(_pieces(lines, place, wrapping)[0]))
            for place in broken[:MOST_PROOFS]
        )
        for wrapping in (Wrapping(columns=width), Wrapping(columns=width, at_words=True))
        if wrapping.at_words or lengths.count(width) > 1
    }
    wrapping = max(proofs, key=proofs.__getitem__)
    if proofs[wrapping]:
        return wrapping, True
    # Two long lines that cannot be read may be as long by chance; a terminal breaks most of them.
    full = sum(lengths[place] == width for place in broken)
    return (Wrapping(columns=width) if full > 1 and 4 * full > len(messages) else None), False


def join(lines: Sequence[bytes], wrapping: Wrapping, *, is_last: bool) -> Joined:
    """Join what was broken."""
    joined: list[bytes | None] = []
    place = 0
    while place < len(lines):
        pieces, goes_on = _pieces(lines, place, wrapping)
        if goes_on and not is_last and place + MOST_LINES > len(lines):
            return Joined(lines=joined, held=list(lines[place:]))
        # A line may be as long as the terminal is wide and end there.
        ends = (n for n in range(len(pieces), 1, -1) if _is_whole(b"".join(pieces[:n])))
        is_alone = wrapping.at_words or _is_whole(pieces[0])
        pieces = pieces[: next(ends, 1 if is_alone else len(pieces))]
        joined += [b"".join(pieces), *(None for _ in pieces[1:])]
        place += len(pieces)
    return Joined(lines=joined, held=[])


def _pieces(lines: Sequence[bytes], place: int, wrapping: Wrapping) -> tuple[list[bytes], bool]:
    """The pieces of the line that begins at `place`, and whether the lines end within it."""
    pieces = [lines[place]]
    is_message = MESSAGE.search(lines[place]) is not None
    if wrapping.at_words and not is_message:
        return pieces, False
    while len(pieces) < MOST_LINES:
        length = _columns(pieces[-1])
        is_full = length == wrapping.columns
        is_short = length == wrapping.columns - 1 and is_message
        if not (is_full or wrapping.at_words or (is_short and not _is_whole(b"".join(pieces)))):
            return pieces, False
        place += 1
        if place == len(lines):
            return pieces, True
        # The blank that stood at the break may be gone.
        lost_blank = (wrapping.at_words or not is_full) and not (
            pieces[-1].endswith(b" ") or lines[place].startswith(b" ")
        )
        # The blank behind a word is lost, or counts where it is kept: one column either way.
        word = lines[place][:1] + lines[place][1:].partition(b" ")[0]
        if wrapping.at_words and length + 1 + _columns(word) <= wrapping.columns:
            return pieces, False
        found = MESSAGE.search(lines[place])
        # Behind a prefix a message may have been broken within its time stamp.
        if found and (found.start() == 0 or is_message or found[0].startswith(b"[")):
            return pieces, False
        if lost_blank:
            pieces[-1] += b" "
        pieces.append(lines[place])
    return pieces, False


def _is_whole(line: bytes) -> bool:
    """Whether a line is a message that nothing is missing of."""
    found = MESSAGE.search(line)
    if not found:
        return False
    _, body = split_stamp(line[found.start() :])
    body = body.rstrip()
    if named := CREATED.fullmatch(body) or REUSED.match(body):
        name = from_logged_name(named[1].decode("utf-8", "replace"))
        return name is not None and facts_of(name).budget is not None
    section = SECTION.fullmatch(body)
    return (section is not None and section[2].endswith(b".py")) or is_whole_trial_line(body)


def _columns(line: bytes) -> int:
    return len(line) if line.isascii() else len(line.decode("utf-8", "replace"))

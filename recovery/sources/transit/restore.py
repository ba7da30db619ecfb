"""The lines of a log as they were written: prefixes taken off, broken lines joined."""

from collections.abc import Sequence
from typing import TypeGuard

from recovery.records import Accounting
from recovery.sources.line_kinds import NEEDLES
from recovery.sources.lines import clean
from recovery.sources.transit.prefixes import Prefix, find_prefix, is_suspicious
from recovery.sources.transit.wrapping import (
    Wrapping,
    find_wrapping,
    join,
    may_be_wrapped,
)


class Restoration:
    """What is known of the way that one log took, learnt while it is read."""

    def __init__(self, accounting: Accounting) -> None:
        """`accounting` is the reader's, for the remarks."""
        self._accounting = accounting
        self._prefix: Prefix | None = None
        self._wrapping: Wrapping | None = None
        self._is_wrapped_inside = False
        """Whether the lines were broken first, and got their prefix then, as in a quoted mail."""
        self._held: list[bytes] = []

    def is_needed(self, lines: Sequence[bytes], block: bytes, *, has_marks: bool) -> bool:
        """Whether the lines of a block may not be as they were written; fast where they are."""
        if self._prefix or self._wrapping or self._held:
            return True
        if not has_marks or not any(needle in block for needle in NEEDLES):
            return False
        return is_suspicious(block) or may_be_wrapped(lines, block)

    def restore(self, lines: Sequence[bytes]) -> list[bytes | None]:
        """The lines as they were written, None for those that were joined to the one before.

        Lines at the end that may go on in the next block are kept for it.
        """
        held = [] if self._is_wrapped_inside else self._held
        return self._restored([*held, *map(clean, lines)], is_last=False)

    def rest(self) -> list[bytes | None]:
        """The lines that were kept, when there are no others."""
        if self._is_wrapped_inside:
            return self._joined(self._held, is_last=True)
        return self._restored(self._held, is_last=True)

    def _restored(self, lines: Sequence[bytes], *, is_last: bool) -> list[bytes | None]:
        if self._is_wrapped_inside:
            freed = self._without_prefix(lines)
            return self._joined([*self._held, *filter(_is_line, freed)], is_last=is_last)
        joined = self._without_prefix(self._joined(lines, is_last=is_last))
        if self._prefix and self._wrapping is None:
            joined = self._joined([*filter(_is_line, joined)], is_last=is_last)
            self._is_wrapped_inside = self._wrapping is not None
        if self._wrapping is None:
            wrapping, _ = find_wrapping([*filter(_is_line, joined)])
            if wrapping is not None:
                self._accounting.remark(
                    f"lines look wrapped at {wrapping.columns} columns, and cannot be joined: give "
                    "the log as it was written"
                )
        return joined

    def _without_prefix(self, lines: Sequence[bytes | None]) -> list[bytes | None]:
        found = [line for line in lines if line is not None]
        prefix = self._prefix
        if prefix is None or not any(prefix.remove(line) is not None for line in found):
            prefix = find_prefix(found) or prefix
        if prefix is None:
            return list(lines)
        self._prefix = prefix
        rests = [None if line is None else prefix.remove(line) for line in lines]
        remark = f"a prefix such as {prefix.example} was taken off"
        self._accounting.remark(remark, count=sum(rest is not None for rest in rests))
        return [
            line if rest is None else clean(rest) for line, rest in zip(lines, rests, strict=True)
        ]

    def _joined(self, lines: Sequence[bytes], *, is_last: bool) -> list[bytes | None]:
        self._held = []
        if self._wrapping is None:
            wrapping, is_proven = find_wrapping(lines)
            self._wrapping = wrapping if is_proven else None
        if self._wrapping is None:
            return list(lines)
        joined = join(lines, self._wrapping, is_last=is_last)
        self._held = joined.held
        parts = sum(line is None for line in joined.lines)
        if parts:
            remark = f"lines wrapped at {self._wrapping.columns} columns were joined"
            self._accounting.remark(remark, count=parts)
        return joined.lines


def _is_line(line: bytes | None) -> TypeGuard[bytes]:
    return line is not None

"""The lines of a log as they were written: prefixes taken off, broken lines joined."""

from collections.abc import Sequence

from recovery.records import Accounting
from recovery.sources.line_kinds import NEEDLES
from recovery.sources.lines import clean
from recovery.sources.transit.prefixes import Prefix, find_prefix, is_suspicious
from recovery.sources.transit.wrapping import find_columns, join, may_be_wrapped


class Restoration:
    """What is known of the way that one log took, learnt while it is read."""

    def __init__(self, accounting: Accounting) -> None:
        """`accounting` is the reader's, for the remarks."""
        self._accounting = accounting
        self._prefix: Prefix | None = None
        self._columns: int | None = None
        self._held: list[bytes] = []

    def is_needed(self, lines: Sequence[bytes], block: bytes, *, has_marks: bool) -> bool:
        """Whether the lines of a block may not be as they were written; fast where they are."""
        if self._prefix or self._columns or self._held:
            return True
        if not has_marks or not any(needle in block for needle in NEEDLES):
            return False
        return is_suspicious(block) or may_be_wrapped(lines, block)

    def restore(self, lines: Sequence[bytes]) -> list[bytes | None]:
        """The lines as they were written, None for those that were joined to the one before.

        Lines at the end that may go on in the next block are kept for it.
        """
        return self._restored([*self._held, *map(clean, lines)], is_last=False)

    def rest(self) -> list[bytes | None]:
        """The lines that were kept, when there are no others."""
        return self._restored(self._held, is_last=True)

    def _restored(self, lines: Sequence[bytes], *, is_last: bool) -> list[bytes | None]:
        joined = self._joined(lines, is_last=is_last)
        found = [line for line in joined if line is not None]
        prefix = self._prefix
        if prefix is None or not any(prefix.remove(line) is not None for line in found):
            prefix = find_prefix(found) or prefix
        if prefix is None:
            return joined
        self._prefix = prefix
        freed = 0
        for place, line in enumerate(joined):
            rest = None if line is None else prefix.remove(line)
            if rest is not None:
                joined[place] = clean(rest)
                freed += 1
        remark = f"a prefix such as {prefix.example} was taken off"
        self._accounting.remark(remark, count=freed)
        return joined

    def _joined(self, lines: Sequence[bytes], *, is_last: bool) -> list[bytes | None]:
        self._held = []
        columns = self._columns
        if columns is None:
            columns, is_proven = find_columns(lines)
            if columns is not None and not is_proven:
                self._accounting.remark(
                    f"lines look wrapped at {columns} columns, and cannot be joined: give the log "
                    "as it was written"
                )
                columns = None
        if columns is None:
            return list(lines)
        self._columns = columns
        joined = join(lines, columns, is_last=is_last)
        self._held = joined.held
        parts = sum(line is None for line in joined.lines)
        if parts:
            self._accounting.remark(f"lines wrapped at {columns} columns were joined", count=parts)
        return joined.lines

"""The markets of a study: the bars of one market or of many, whatever files they came from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlproject.data.bars import Bars
from mlproject.data.features import feature_names
from mlproject.text.phrases import counted


@dataclass(frozen=True, kw_only=True, eq=False)
class Markets:
    """The bars of the markets of a study, in the order of their names.

    Raises ValueError if they are not, or are none.
    """

    name: str
    """What reports call the data: 'sp500', or the name of the file or folder."""

    source: str
    """Where the bars come from, as the user gave it."""

    each: tuple[Bars, ...]
    """At least one; each has a name of its own."""

    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a market that is there too is not used, by its name."""

    notes: tuple[str, ...] = ()
    """What else was seen where the bars come from, in words for the user."""

    def __post_init__(self) -> None:
        names = [bars.name for bars in self.each]
        if not names or names != sorted(set(names)):
            raise ValueError(f"markets must be named and sorted by name, not {names[:9]}")

    @classmethod
    def of(cls, data: "Bars | Markets") -> "Markets":
        """The markets of what may be the bars of one."""
        if isinstance(data, Markets):
            return data
        return cls(name=data.name, source=data.source, each=(data,))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features of a day in every market: without volume in one, those that need none."""
        return feature_names(has_volume=all(bars.has_volume for bars in self.each))

    @property
    def digest(self) -> str:
        """16 hex digits that follow from the names and numbers; of one market those of its bars."""
        if len(self.each) == 1:
            return self.each[0].digest
        lines = "".join(f"{bars.name}\t{bars.digest}\n" for bars in self.each)
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    @property
    def rows(self) -> int:
        """Of all markets together."""
        return sum(len(bars.frame) for bars in self.each)

    @property
    def source_shape(self) -> str:
        """What was understood of the source, in one line."""
        if len(self.each) == 1:
            return self.each[0].source_shape
        shapes: dict[str, int] = {}
        for bars in self.each:
            # The first words name the source; what follows differs from file to file.
            shape = bars.source_shape.partition(",")[0]
            shapes[shape] = shapes.get(shape, 0) + 1
        first = min(bars.frame["date"].iloc[0] for bars in self.each)
        last = max(bars.frame["date"].iloc[-1] for bars in self.each)
        known = ", ".join(
            f"{count:,} of {shape}" for shape, count in sorted(shapes.items(), key=lambda s: -s[1])
        )
        return (
            f"{counted(len(self.each), 'market')} ({known}), {self.rows:,} rows, "
            f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
        )

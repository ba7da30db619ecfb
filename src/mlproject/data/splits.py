"""The splits: training, validation and test are three blocks of time with a gap between them."""

import itertools
from dataclasses import dataclass, replace

from mlproject.data.features import WARM_UP_ROWS
from mlproject.models.arch_grid import WINDOW_DAYS

TRAIN_FRACTION = 0.70
VALIDATION_FRACTION = 0.15
"""The test block gets the rest, 0.15."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The end rows of the windows of each split, in time order."""

    train: range
    validation: range
    test: range

    @property
    def usable(self) -> bool:
        """Whether no split is empty."""
        return all((self.train, self.validation, self.test))

    @property
    def final(self) -> "Splits":
        """The splits of the final training: training and validation as one training span.

        The end rows between the two, which were left out for the sake of validation, are in it; no
        label of it looks at the first end row of the test span or beyond.
        """
        stop = self.validation.stop
        return Splits(
            train=range(self.train.start, stop), validation=range(stop, stop), test=self.test
        )

    @property
    def without_test(self) -> "Splits":
        """The same splits with no test span."""
        return replace(self, test=range(self.test.start, self.test.start))


def split_ends(rows: int, *, horizon_days: int) -> Splits:
    """The splits of `rows` rows of bars: three blocks, without the last rows of each.

    The first end row is the first whose whole window has features. The rows from there on are cut
    by `TRAIN_FRACTION` and `VALIDATION_FRACTION`, so the blocks, and the first day of validation
    and test, are the same at every horizon. The last `horizon_days` rows of each block are no end
    rows: the days that a label of one split looks at all lie before the first end row of the next.
    The input windows of the next split may reach back into that time, which by then is past.
    """
    first = WARM_UP_ROWS + WINDOW_DAYS - 1
    available = max(rows - first, 0)
    validation = first + int(available * TRAIN_FRACTION)
    test = first + int(available * (TRAIN_FRACTION + VALIDATION_FRACTION))
    return Splits(
        train=range(first, validation - horizon_days),
        validation=range(validation, test - horizon_days),
        test=range(test, first + available - horizon_days),
    )


def rows_needed(*, horizon_days: int) -> int:
    """The fewest rows of bars for which no split is empty."""
    return next(n for n in itertools.count(1) if split_ends(n, horizon_days=horizon_days).usable)

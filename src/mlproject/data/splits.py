"""The splits: training, validation and test are three blocks of time with a gap between them.

The markets of a study are cut on the same days, so that nothing that one of them has seen tells the
future of another.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mlproject.data.features import WARM_UP_ROWS
from mlproject.models.arch_grid import WINDOW_DAYS

TRAIN_FRACTION = 0.70
VALIDATION_FRACTION = 0.15
"""The test block gets the rest, 0.15."""

FIRST_END_ROW = WARM_UP_ROWS + WINDOW_DAYS - 1
"""The first row of a market whose whole window has features."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The end rows of the windows of one market in each split, in time order."""

    train: range
    validation: range
    test: range

    @property
    def final(self) -> "Splits":
        """The splits of the final training: training and validation as one training span.

        The end rows between the two, which were left out for the sake of validation, are in it; no
        label of it looks at the first day of the test span or beyond.
        """
        stop = self.validation.stop
        return Splits(
            train=range(self.train.start, stop), validation=range(stop, stop), test=self.test
        )

    @property
    def without_test(self) -> "Splits":
        """The same splits with no test span."""
        return replace(self, test=range(self.test.start, self.test.start))


def usable(splits: Sequence[Splits]) -> bool:
    """Whether no split is empty of the windows of all markets."""
    return all(
        any(getattr(one, name) for one in splits) for name in ("train", "validation", "test")
    )


def split_ends(rows: int, *, horizon_days: int) -> Splits:
    """The splits of a market of so many rows that is alone in its study."""
    return split_markets([np.arange(rows)], horizon_days=horizon_days)[0]


def split_markets(days: Sequence[npt.NDArray[Any]], *, horizon_days: int) -> list[Splits]:
    """The splits of each market, whose rows are of the given days, oldest first.

    A row can be an end row when its whole window has features. The end rows of all markets, in the
    order of their days, are cut by `TRAIN_FRACTION` and `VALIDATION_FRACTION`; so the first day of
    validation and that of test are the same for all markets and at every horizon. In each market
    the last `horizon_days` rows of a block are no end rows: the days that a label of one split
    looks at all lie before the first day of the next. The input windows of the next split may
    reach back into that time, which by then is past.
    """
    ends = np.sort(np.concatenate([of_market[FIRST_END_ROW:] for of_market in days]))
    if not len(ends):
        return [Splits(train=range(0), validation=range(0), test=range(0))] * len(days)
    validation_day = ends[int(len(ends) * TRAIN_FRACTION)]
    test_day = ends[int(len(ends) * (TRAIN_FRACTION + VALIDATION_FRACTION))]
    return [
        _split(
            len(of_market),
            validation=int(np.searchsorted(of_market, validation_day)),
            test=int(np.searchsorted(of_market, test_day)),
            horizon_days=horizon_days,
        )
        for of_market in days
    ]


def rows_needed(*, horizon_days: int) -> int:
    """The fewest rows of bars of a market alone for which no split is empty."""
    return next(n for n in itertools.count(1) if usable([split_ends(n, horizon_days=horizon_days)]))


def _split(rows: int, *, validation: int, test: int, horizon_days: int) -> Splits:
    """The splits of a market whose blocks begin at these rows."""
    starts = [max(start, FIRST_END_ROW) for start in (0, validation, test)]
    stops = [max(stop, FIRST_END_ROW) - horizon_days for stop in (validation, test, rows)]
    # A market that ends before a block or begins after it has no end row there: stop < start.
    train, in_validation, in_test = map(range, starts, stops)
    return Splits(train=train, validation=in_validation, test=in_test)

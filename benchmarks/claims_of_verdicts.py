"""The verdict of a study on made losses: how often it is wrong, beside other tests.

A study is a table of losses by candidate (an epoch of a trial) and block of days, less those of the
reference. What is said of a candidate goes up and down with the days; candidates are alike in that,
as epochs of one trial and trials of one study are, or go their own ways.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mlproject.analysis.claims.verdicts import (
    LEVEL,
    MIN_BLOCKS,
    Verdict,
    best_of_many_p_value,
    compare,
    cross_fitted,
)
from mlproject.text.tables import markdown_lines

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

BLOCKS = 10
"""As many as a validation span of three years has."""
BLOCK_SD = 0.005
"""Of a candidate's difference from the reference, as of small networks on random walks."""
EPOCHS = 10
DIRECTIONS = 3
"""Of the luck that alike candidates share."""
SHARED = 0.9
"""The share of the variance that lies in these."""


@dataclass(frozen=True, kw_only=True)
class Studies:
    """What the studies of a column are like."""

    name: str
    candidates: int
    alike: bool = True
    better_by: float = 0.0
    """All candidates, than the reference; nats."""
    tails: bool = False
    """Whether days have heavy tails (Student's t, 4 degrees of freedom) and some blocks are three
    times as wild as others."""
    trial_sd: float = 0.0
    """By how much trials differ in truth."""

    def draw(self, generator: Generator) -> tuple[Floats, Floats]:
        """The differences (candidates, blocks) of a study, and their true means (candidates,)."""

        def noise(rows: int) -> Floats:
            if not self.tails:
                return generator.normal(size=(rows, BLOCKS))
            wildness = np.linspace(0.5, 1.5, BLOCKS) / np.sqrt(13 / 12)
            return generator.standard_t(4, (rows, BLOCKS)) / np.sqrt(2) * wildness

        own = noise(self.candidates)
        luck = own
        if self.alike and self.candidates > 1:
            loadings = generator.normal(size=(self.candidates, DIRECTIONS))
            loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
            luck = np.sqrt(SHARED) * loadings @ noise(DIRECTIONS) + np.sqrt(1 - SHARED) * own
        trials = -(-self.candidates // EPOCHS)
        of_trials = generator.normal(-self.better_by, self.trial_sd, trials)
        truth = np.repeat(of_trials, EPOCHS)[: self.candidates]
        return truth[:, None] + BLOCK_SD * luck, truth


NULL = (
    Studies(name="1", candidates=1),
    Studies(name="60", candidates=60),
    Studies(name="300 alike", candidates=300),
    Studies(name="300 alike, heavy tails", candidates=300, tails=True),
    Studies(name="300 independent", candidates=300, alike=False),
    Studies(name="2,000", candidates=2000),
)
BETTER = tuple(
    Studies(name=f"finds {by:.3f}", candidates=300, better_by=by) for by in (0.010, 0.005)
)


def _flipped_signs(differences: Floats) -> bool:
    """What a study does."""
    found = compare([differences], np.zeros(BLOCKS), _weights())
    return found.verdict is Verdict.BETTER


def _p_value_alone(differences: Floats) -> bool:
    return best_of_many_p_value(differences) <= LEVEL


def _lowest_mean(differences: Floats) -> bool:
    """Means that are not studentised, recentred as by Hansen (2005), his version c."""
    means = differences.mean(axis=1)
    errors = differences.std(axis=1, ddof=1) / np.sqrt(BLOCKS)
    hopeless = means >= errors * np.sqrt(2 * np.log(np.log(BLOCKS)))
    centred = differences - means[:, None]
    signs = 1.0 - 2.0 * (np.arange(2**BLOCKS)[:, None] >> np.arange(BLOCKS) & 1)
    null = (signs @ centred.T / BLOCKS + np.where(hopeless, means, 0.0)).min(axis=1)
    return float((null <= means.min()).mean()) <= LEVEL


def _t_on_cross_fitted(differences: Floats) -> bool:
    apart = cross_fitted([differences], _weights())
    return bool(stats.ttest_1samp(apart, 0, alternative="less").pvalue <= LEVEL)


def _bonferroni(differences: Floats) -> bool:
    """The interval of the candidate with the lowest loss, widened for the number of them."""
    best = differences[differences.mean(axis=1).argmin()]
    found = stats.ttest_1samp(best, 0, alternative="less").pvalue
    return bool(found * len(differences) <= LEVEL)


METHODS: Mapping[str, Callable[[Floats], bool]] = {
    "flipped signs, lowest studentised mean, and an interval (taken)": _flipped_signs,
    "the same without the interval": _p_value_alone,
    "flipped signs, lowest mean, Hansen's recentring": _lowest_mean,
    "Student's t on the cross-fitted differences": _t_on_cross_fitted,
    "Bonferroni's interval of the lowest loss": _bonferroni,
}


def false_better(repeats: int) -> Iterator[str]:
    """Where no candidate is better: how often a test says so; and how often it finds what is."""
    found: dict[str, list[str]] = {name: [] for name in METHODS}
    for column in (*NULL, *BETTER):
        generator = np.random.default_rng(0)
        studies = [column.draw(generator)[0] for _ in range(repeats)]
        for name, says_better in METHODS.items():
            found[name].append(_percent([says_better(each) for each in studies]))
    heads = ["test", *(column.name for column in (*NULL, *BETTER))]
    yield "### Verdicts: 'better' by number of candidates, where none is and where all are, %\n"
    yield from markdown_lines(heads, [[name, *cells] for name, cells in found.items()])


def adjusted_losses(repeats: int) -> Iterator[str]:
    """What is left of the luck of choosing."""
    rows = []
    for trial_sd in (0.0, 0.002, 0.004):
        for candidates in (30, 80, 500):
            column = Studies(name="", candidates=candidates, trial_sd=trial_sd)
            generator = np.random.default_rng(0)
            lowest, left, holds = [], [], []
            for _ in range(repeats):
                differences, truth = column.draw(generator)
                means = differences.mean(axis=1)
                chosen = truth[means.argmin()]
                said = compare([differences], np.zeros(BLOCKS), _weights())
                assert said.difference is not None
                assert said.low is not None
                assert said.high is not None
                lowest.append(means.min() - chosen)
                left.append(said.difference - chosen)
                holds.append(said.low <= chosen <= said.high)
            rows.append(
                [
                    *(f"{candidates // EPOCHS}", f"{trial_sd:g}"),
                    *(f"{np.mean(lowest):+.4f}", f"{np.mean(left):+.4f}", _percent(holds)),
                ]
            )
    heads = [
        *("trials of ten epochs", "sd of trials", "luck of the lowest loss"),
        *("left in the adjusted loss", "its 90 % interval holds, %"),
    ]
    yield "### Verdicts: the adjusted loss\n"
    yield from markdown_lines(heads, rows)


def _weights() -> Floats:
    assert BLOCKS >= MIN_BLOCKS
    return np.full(BLOCKS, 1 / BLOCKS)


def _percent(found: list[bool]) -> str:
    return f"{100 * float(np.mean(found)):.1f}"

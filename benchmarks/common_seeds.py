"""What common seeds are worth: how far the luck of a seed is the same for two architectures.

    python -m benchmarks.common_seeds [--table NAME]

prints, for the trainings of `benchmarks.trainings`, a row for each pair of architectures: the mean
difference of their lowest losses, its standard deviation with one seed for both and with a seed for
each, and the ratio of the two variances: so many times fewer trainings tell the pair apart. All
settings are taken together, each with its own mean.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from benchmarks.trainings import TABLES, Training, read_trainings

Floats = npt.NDArray[np.float64]


Key = tuple[int, int, int, int]
"""d_model, n_layers, n_heads, d_ff."""


@dataclass(frozen=True, kw_only=True)
class Luck:
    """What the seed of a training does to its loss, as standard deviations."""

    of_all: float
    """To all trainings of that seed."""
    of_width: float
    """To those of one width besides."""
    alone: float
    """To that training alone."""


def table(trainings: Sequence[Training]) -> Iterator[str]:
    """The lines of the Markdown table, and one for all pairs of a kind."""
    yield "| pair: d_model × n_layers, heads, d_ff | difference | sd, one seed | sd, two | ratio |"
    yield "|---|---|---|---|---|"
    losses = lowest_losses(trainings)
    for first, second in combinations(losses, 2):
        here, there = losses[first], losses[second]
        difference = f"{(here - there).mean():+.5f}"
        yield _row(f"{_name(first)} – {_name(second)}", difference, variances(here, there))
    for kind, is_one in (("one width", True), ("two widths", False)):
        pairs = _of_pairs(losses, one_width=is_one)
        if pairs:
            yield _row(f"all {len(pairs)} pairs of {kind}", "", _mean(pairs))


def luck_of(trainings: Sequence[Training]) -> Luck:
    """How large the luck is, from pairs of one width and of two; none of a kind that is missing."""
    losses = lowest_losses(trainings)
    alone, whole = _mean(_of_pairs(losses, one_width=True))
    apart, whole_apart = _mean(_of_pairs(losses, one_width=False) or [(alone, whole)])
    return Luck(
        of_all=math.sqrt(max(0.0, whole_apart - apart) / 2),
        of_width=math.sqrt(max(0.0, apart - alone) / 2),
        alone=math.sqrt(alone / 2),
    )


def lowest_losses(trainings: Sequence[Training]) -> dict[Key, Floats]:
    """By architecture, (settings, seeds): of the seeds with which all of them were trained."""
    found: dict[Key, dict[tuple[int, int], float]] = {}
    for each in trainings:
        key = each.d_model, each.n_layers, each.n_heads, each.d_ff
        found.setdefault(key, {})[each.setting, each.seed] = min(each.val_losses)
    common = set.intersection(*(set(cells) for cells in found.values()))
    settings = sorted({setting for setting, _ in common})
    seeds = [
        seed
        for seed in sorted({seed for _, seed in common})
        if all((setting, seed) in common for setting in settings)
    ]
    return {
        key: np.array([[cells[setting, seed] for seed in seeds] for setting in settings])
        for key, cells in found.items()
    }


def variances(here: Floats, there: Floats) -> tuple[float, float]:
    """Of the difference of two architectures over seeds: with one for both, and with one each."""
    paired = (here - there).var(axis=1, ddof=1).mean()
    unpaired = (here.var(axis=1, ddof=1) + there.var(axis=1, ddof=1)).mean()
    return float(paired), float(unpaired)


def _of_pairs(losses: Mapping[Key, Floats], *, one_width: bool) -> list[tuple[float, float]]:
    return [
        variances(losses[first], losses[second])
        for first, second in combinations(losses, 2)
        if (first[0] == second[0]) == one_width
    ]


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    paired, unpaired = np.mean(pairs, axis=0)
    return float(paired), float(unpaired)


def _row(pair: str, difference: str, found: tuple[float, float]) -> str:
    paired, unpaired = found
    cells = pair, difference, f"{paired**0.5:.5f}", f"{unpaired**0.5:.5f}"
    return f"| {' | '.join(cells)} | {unpaired / paired:.1f} |"


def _name(key: Key) -> str:
    d_model, n_layers, n_heads, d_ff = key
    return f"{d_model} × {n_layers}, {n_heads}, {d_ff}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, default="sp500_500k")
    options = parser.parse_args()
    for line in table(read_trainings(TABLES[options.table])):
        print(line)


if __name__ == "__main__":
    main()

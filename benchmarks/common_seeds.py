"""What common seeds are worth: how far the luck of a seed is the same for two architectures.

    python -m benchmarks.common_seeds [--table NAME]

prints, for the trainings of `benchmarks.trainings`, a row for each pair of architectures: the mean
difference of their lowest losses, its standard deviation with one seed for both and with a seed for
each, and the ratio of the two variances: so many times fewer trainings tell the pair apart. All
settings are taken together, each with its own mean.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from benchmarks.trainings import TABLES, Training, read_trainings

Floats = npt.NDArray[np.float64]


def table(trainings: Sequence[Training]) -> Iterator[str]:
    """The lines of the Markdown table, and one for all pairs."""
    yield "| pair: d_model × n_layers, heads, d_ff | difference | sd, one seed | sd, two | ratio |"
    yield "|---|---|---|---|---|"
    losses = lowest_losses(trainings)
    one, two = [], []
    for (first, here), (second, there) in combinations(losses.items(), 2):
        paired, unpaired = variances(here, there)
        one.append(paired)
        two.append(unpaired)
        yield (
            f"| {first} – {second} | {(here - there).mean():+.5f} | {paired**0.5:.5f} "
            f"| {unpaired**0.5:.5f} | {unpaired / paired:.1f} |"
        )
    yield (
        f"| all {len(one)} pairs | | {np.mean(one) ** 0.5:.5f} | {np.mean(two) ** 0.5:.5f} "
        f"| {np.mean(two) / np.mean(one):.1f} |"
    )


def lowest_losses(trainings: Sequence[Training]) -> dict[str, Floats]:
    """By architecture, (settings, seeds): of the seeds with which all of them were trained."""
    found: dict[str, dict[tuple[int, int], float]] = {}
    for each in trainings:
        name = f"{each.d_model} × {each.n_layers}, {each.n_heads}, {each.d_ff}"
        found.setdefault(name, {})[each.setting, each.seed] = min(each.val_losses)
    common = set.intersection(*(set(cells) for cells in found.values()))
    settings = sorted({setting for setting, _ in common})
    seeds = [
        seed
        for seed in sorted({seed for _, seed in common})
        if all((setting, seed) in common for setting in settings)
    ]
    return {
        name: np.array([[cells[setting, seed] for seed in seeds] for setting in settings])
        for name, cells in found.items()
    }


def variances(here: Floats, there: Floats) -> tuple[float, float]:
    """Of the difference of two architectures over seeds: with one for both, and with one each."""
    paired = (here - there).var(axis=1, ddof=1).mean()
    unpaired = (here.var(axis=1, ddof=1) + there.var(axis=1, ddof=1)).mean()
    return float(paired), float(unpaired)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=TABLES, default="sp500_500k")
    options = parser.parse_args()
    for line in table(read_trainings(TABLES[options.table])):
        print(line)


if __name__ == "__main__":
    main()

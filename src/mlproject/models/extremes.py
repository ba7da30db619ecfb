"""The forced extremes: the architectures every study tries before its sampler chooses any.

Random sampling missed the ends of the grid in earlier studies, so the ends are not left to it.
"""

import math
import statistics
from collections.abc import Callable

from mlproject.models.arch_grid import Architecture, ArchitectureGrid

USUAL_HEADS = 8
"""Heads of the d_model and n_layers extremes, where the budget has them."""

Distance = Callable[[Architecture], float]
"""How far an architecture is from what is wanted; 0 is nearest."""


def forced_extremes(grid: ArchitectureGrid) -> dict[str, Architecture]:
    """The extreme architectures of a grid by label, in the order in which they are tried.

    Smallest and largest d_model and n_layers (with 8 heads, the other of the two as near its
    middle as the budget allows) and fewest and most heads (d_model and n_layers as near their
    middles as allowed). The middle of a dimension is the median of the distinct values that occur
    in the grid. Nearness is the absolute logarithm of the ratio, as the values are spaced
    geometrically; for the heads the two nearnesses add up. Ties go to the lowest `arch_idx`.

    Two labels may name one architecture where the budget is too narrow to part them (at 20M the
    largest d_model and the smallest n_layers do): see `distinct_extremes`.
    """
    middle_d_model = statistics.median(grid.values("d_model"))
    middle_n_layers = statistics.median(grid.values("n_layers"))

    def d_model(a: Architecture) -> float:
        return abs(math.log(a.d_model / middle_d_model))

    def n_layers(a: Architecture) -> float:
        return abs(math.log(a.n_layers / middle_n_layers))

    def n_heads(a: Architecture) -> float:
        return abs(math.log(a.n_heads / USUAL_HEADS))

    def both(a: Architecture) -> float:
        return d_model(a) + n_layers(a)

    def nearest(dimension: str, value: int, *distances: Distance) -> Architecture:
        return min(
            (a for a in grid.architectures if getattr(a, dimension) == value),
            key=lambda a: (*(distance(a) for distance in distances), a.arch_idx),
        )

    found = {}
    for dimension, distances in {
        "d_model": (n_heads, n_layers),
        "n_layers": (n_heads, d_model),
        "n_heads": (both,),
    }.items():
        values = grid.values(dimension)
        found[f"min_{dimension}"] = nearest(dimension, values[0], *distances)
        found[f"max_{dimension}"] = nearest(dimension, values[-1], *distances)
    return found


def distinct_extremes(grid: ArchitectureGrid) -> dict[str, Architecture]:
    """`forced_extremes` without repetition: the labels of one architecture joined by ``+``."""
    labels: dict[int, list[str]] = {}
    for label, architecture in forced_extremes(grid).items():
        labels.setdefault(architecture.arch_idx, []).append(label)
    return {"+".join(names): grid.architectures[idx] for idx, names in labels.items()}

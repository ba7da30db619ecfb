"""The smallest set of architectures that closes a set of gaps."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from mlproject.analysis.audit.findings import Gap, UntestedExtreme
from mlproject.models.arch_grid import Architecture, ArchitectureGrid


def covering_architectures(
    grid: ArchitectureGrid, gaps: Sequence[Gap], trials_per_value: int
) -> list[Architecture]:
    """Choose different architectures of the grid that together close every gap.

    An extreme is one architecture. A value is had by `trials_per_value` architectures, or by all
    that have it where the grid offers fewer. This is a set multicover, solved exactly as an integer
    program; a greedy choice takes one too many now and then. Of the smallest sets it is the one
    whose numbers of heads are most evenly spread, then the one with the lowest `arch_idx`.
    """
    if not gaps:
        return []
    architectures = grid.architectures
    n = len(architectures)
    has = np.array([[_has(a, gap) for a in architectures] for gap in gaps], dtype=float)
    demand = [
        1 if isinstance(gap, UntestedExtreme) else min(trials_per_value, row.sum())
        for gap, row in zip(gaps, has, strict=True)
    ]
    # The last variable is at least the number of architectures that share their heads.
    heads = np.array([[a.n_heads == h for a in architectures] for h in grid.values("n_heads")])
    weights = np.append(n * n + np.arange(n) / n**2, 1.0)
    solution = milp(
        weights,
        integrality=np.ones(n + 1),
        bounds=Bounds(0, np.append(np.ones(n), n)),
        constraints=[
            LinearConstraint(np.column_stack([has, np.zeros(len(gaps))]), lb=demand),
            LinearConstraint(np.column_stack([heads, -np.ones(len(heads))]), ub=0),
        ],
        options={"mip_rel_gap": 0},
    )
    assert solution.success, solution.message
    return [a for a, taken in zip(architectures, solution.x, strict=False) if taken > 0.5]


def gaps_closed_by(architecture: Architecture, gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """The gaps, of those given, that a trial of the architecture closes."""
    return tuple(gap for gap in gaps if _has(architecture, gap))


def _has(architecture: Architecture, gap: Gap) -> bool:
    """Whether the architecture is the extreme, or has the value."""
    if isinstance(gap, UntestedExtreme):
        return architecture == gap.architecture
    return bool(getattr(architecture, gap.dimension) == gap.value)

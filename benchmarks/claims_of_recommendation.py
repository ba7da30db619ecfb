"""What a study claims of the architectures that it tried, in made worlds whose truth is known.

The worlds, and how they are searched, are those of `search_made`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import optuna
from benchmarks.search_made import Scheme, architecture_of, spend_trials

from mlproject.search.recommendation import rank_architectures
from mlproject.search.replicates import REPLICATED_SHARE
from mlproject.text.tables import markdown_lines


@dataclass(frozen=True, kw_only=True)
class _Claimed:
    """What one study claims, against the truth; the best is that of the architectures tried."""

    best_in_set: bool
    share_of_set: float
    best_framed: bool
    share_framed: float
    """Of the widths and depths that were tried."""
    is_best: bool
    said_best: float
    """With which probability it said so."""


def sets(repeats: int) -> Iterator[str]:
    """How often the set that cannot be told from the recommended one holds the best one."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    heads = [
        *("replicates", "best is in the set, %", "set, share of architectures"),
        *("best is framed, %", "framed, share of cells"),
        *("recommended is the best, %", "probability said, %"),
    ]
    rows = []
    for share in (0.0, REPLICATED_SHARE):
        found = [_claimed(share, seed) for seed in range(repeats)]
        rows.append(
            [
                f"{share:.0%}",
                f"{100 * np.mean([each.best_in_set for each in found]):.1f}",
                f"{np.mean([each.share_of_set for each in found]):.2f}",
                f"{100 * np.mean([each.best_framed for each in found]):.1f}",
                f"{np.mean([each.share_framed for each in found]):.2f}",
                f"{100 * np.mean([each.is_best for each in found]):.1f}",
                f"{100 * np.mean([each.said_best for each in found]):.1f}",
            ]
        )
    yield "### Recommended: the set that cannot be told from it\n"
    yield from markdown_lines(heads, rows)


def _claimed(replicated: float, seed: int) -> _Claimed:
    searched = spend_trials(Scheme(name="", replicated=replicated), seed)
    space, world = searched.space, searched.world
    truth: dict[int, float] = {}
    for trial in searched.trials:
        architecture = architecture_of(trial, space)
        loss = world.loss(architecture, trial.params)
        truth[architecture.arch_idx] = min(loss, truth.get(architecture.arch_idx, loss))
    best = space.grid.architectures[min(truth, key=lambda arch_idx: truth[arch_idx])]
    ranked = rank_architectures(searched.trials, space)
    of_set = [each.architecture for each in ranked if each.is_among_best]
    tried = {(each.architecture.d_model, each.architecture.n_layers) for each in ranked}
    framed = {(each.d_model, each.n_layers) for each in of_set}
    return _Claimed(
        best_in_set=best in of_set,
        share_of_set=len(of_set) / len(ranked),
        best_framed=(best.d_model, best.n_layers) in framed,
        share_framed=len(framed) / len(tried),
        is_best=ranked[0].architecture == best,
        said_best=ranked[0].probability_best,
    )

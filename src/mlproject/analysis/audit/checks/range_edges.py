"""The check whether the best trials lie at the edge of a searched range."""

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.tracking.names import Metric, Param, Tag
from mlproject.tracking.tracked_studies import TrackedTrial, ranked_trials
from mlproject.training.settings import Between, Number, Range, searched_in

BEST_AT_EDGE = FindingKind(
    title="best at the edge of a range",
    advice="search a range that goes on beyond the edge: a new version of the search space",
    is_advice=True,
)

_BEST = 5
"""The best fifth is looked at."""
_BEST_AT_LEAST = 5
_OUTER = 0.1
_LUCK = 0.05
"""How likely a study without any effect may have a finding, all ranges and both ends together."""


def best_at_edge(study: AnalysedStudy) -> Iterator[Finding]:
    """Find ranges in whose outer tenth, or at whose last choice, most of the best fifth lie.

    A sampler that learns draws most trials where the first good ones were, by luck or not: trials
    at the edge must also be better than those elsewhere.
    """
    version = study.whole(Param.SEARCH_SPACE) or 0
    ranges = {Param(row.name): row.searched[version] for row in searched_in(version)}
    if study.whole("max_epochs") != 0:
        ranges.pop(Param.EPOCHS, None)  # its range was cut, or nothing says it was not
    # A supplementary trial has the settings of the best ones before it.
    ranked = [t for t in ranked_trials(study.finished) if Tag.SUPPLEMENT not in t.trial.tags]
    best = ranked[: len(ranked) // _BEST]
    if not ranges or len(best) < _BEST_AT_LEAST:
        return
    drawn = sorted(ranked, key=lambda t: t.trial.trial_number)
    tolerated = _LUCK / (2 * len(ranges))
    for param, allowed in ranges.items():
        for end, edge in zip(("lower", "upper"), allowed.ends, strict=True):
            at = [t for t in best if _is_at(edge, t, param, allowed)]
            if len(at) <= len(best) / 2:
                continue
            if _luck(drawn, [_is_at(edge, t, param, allowed) for t in drawn]) <= tolerated:
                text = (
                    f"{len(at)} of the {len(best)} best trials have {param} at the {end} edge of "
                    f"its range ({allowed})"
                )
                yield Finding(kind=BEST_AT_EDGE, text=text, runs=run_refs(at))


def _is_at(edge: Number, trial: TrackedTrial, param: Param, allowed: Range) -> bool:
    value = trial.trial.params.get(param)
    if not isinstance(value, int | float):
        return False
    if not isinstance(allowed, Between):
        return value == edge
    if not allowed.low <= value <= allowed.high:
        return False
    return abs(allowed.share(value) - allowed.share(edge)) <= _OUTER


def _luck(drawn: Sequence[TrackedTrial], at_edge: Sequence[bool]) -> float:
    """How likely trials at the edge are so much better than the others if the edge does nothing.

    A rank sum test (Mann and Whitney, 1947) on the ranks of the losses, less what the order of the
    trials explains of them: later ones are better, wherever the sampler has drifted meanwhile.
    """
    edge = np.array(at_edge)
    inside, others = int(edge.sum()), int((~edge).sum())
    if not inside or not others:
        return 1.0
    ranks = np.argsort(np.argsort([t.trial.metrics[Metric.BEST_VAL_LOSS] for t in drawn]))
    order = np.log1p(np.arange(len(drawn)))
    order -= order.mean()
    left = ranks - order * (order @ ranks) / (order @ order)
    better = (left[edge][:, None] < left[~edge]).sum()
    spread = math.sqrt(inside * others * (len(drawn) + 1) / 12)
    return 1 - NormalDist().cdf((better - inside * others / 2 - 0.5) / spread)

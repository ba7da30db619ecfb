"""The checks for what a study never tested, though its budget allows it today.

A study is measured against the current grid, so values that only a newer version has count too;
those are no gap that a supplement could close where the study goes on with an older version. A
pruned or diverged trial has tested its architecture: the answer was that it is bad. A failed one
has not. Where the budget is not known there is nothing to measure against, and nothing is found.
"""

from collections.abc import Iterator

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import (
    Finding,
    FindingKind,
    UntestedExtreme,
    UntestedValue,
)
from mlproject.analysis.dimensions import DIMENSIONS, architecture_of
from mlproject.models.extremes import distinct_extremes

UNTESTED_VALUE = FindingKind(title="value never tested", advice="supplement the study")
UNTESTED_EXTREME = FindingKind(title="extreme never tested", advice="supplement the study")

_ONLY_ANEW = "a study of its own, under another experiment name, can test it"


def untested_values(study: AnalysedStudy) -> Iterator[Finding]:
    """Find values of the current grid, by dimension, that no finished trial had."""
    if study.current_grid is None or study.supplement_grid is None:
        return
    for dimension in DIMENSIONS:
        tested = {t.trial.params.get(dimension) for t in study.finished}
        own = study.own_grid.values(dimension) if study.own_grid else None
        for value in study.current_grid.values(dimension):
            if value not in tested:
                is_new = own is not None and value not in own
                since = study.first_version_with(dimension, value) if is_new else None
                gap = UntestedValue(dimension=dimension, value=value, since_version=since)
                text = _value_text(gap, study)
                if value in study.supplement_grid.values(dimension):
                    yield Finding(kind=UNTESTED_VALUE, text=text, gap=gap)
                else:
                    yield Finding(kind=UNTESTED_VALUE, text=f"{text}; {_ONLY_ANEW}")


def untested_extremes(study: AnalysedStudy) -> Iterator[Finding]:
    """Find forced extremes of the supplement's grid whose architecture no finished trial had."""
    if study.supplement_grid is None:
        return
    tested = {architecture_of(trial) for trial in study.finished}
    for label, extreme in distinct_extremes(study.supplement_grid).items():
        if tuple(getattr(extreme, dimension) for dimension in DIMENSIONS) not in tested:
            gap = UntestedExtreme(label=label, architecture=extreme)
            yield Finding(kind=UNTESTED_EXTREME, text=_extreme_text(gap), gap=gap)


def _value_text(gap: UntestedValue, study: AnalysedStudy) -> str:
    text = f"{gap.dimension} {gap.value} was never tested"
    if gap.since_version is None or study.own_grid is None:
        return text
    return (
        f"{text}: the study searched grid version {study.own_grid.version}, "
        f"the value is there since version {gap.since_version}"
    )


def _extreme_text(gap: UntestedExtreme) -> str:
    a = gap.architecture
    return (
        f"extreme {gap.label} was never tested: {a.d_model} wide, {a.n_layers} layers, "
        f"{a.n_heads} heads, d_ff {a.d_ff}"
    )

"""What a study never tested of what its budget allows today.

Measured against the current grid, so that values which only a newer version offers count too. A
pruned or diverged trial has tested its architecture: the answer was that it is bad. A failed one
has not.
"""

from mlproject.analysis.audit.findings import Finding, Gap, Kind, UntestedExtreme, UntestedValue
from mlproject.analysis.audit.study_facts import StudyFacts
from mlproject.models.extremes import distinct_extremes
from mlproject.tracking.names import Param
from mlproject.tracking.tracked_studies import TrackedTrial

DIMENSIONS = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF)


def coverage_findings(facts: StudyFacts) -> list[Finding]:
    """One finding for each value and each extreme that was never tested."""
    grid = facts.current_grid
    if grid is None:
        text = "no param and no name says the study's budget: what was never tested is not judged"
        return [Finding(kind=Kind.MISSING_PARAMS, text=text)]
    gaps: list[Gap] = [*untested_values(facts), *untested_extremes(facts)]
    return [Finding(kind=_kind(gap), text=_text(gap, facts), gap=gap) for gap in gaps]


def untested_values(facts: StudyFacts) -> list[UntestedValue]:
    """Values of the current grid, by dimension, that no finished trial had."""
    assert facts.current_grid is not None
    gaps = []
    for dimension in DIMENSIONS:
        tested = {t.trial.params.get(dimension) for t in facts.finished}
        own = facts.own_grid.values(dimension) if facts.own_grid else None
        for value in facts.current_grid.values(dimension):
            if value not in tested:
                is_new = own is not None and value not in own
                since = facts.first_version_with(dimension, value) if is_new else None
                gaps.append(UntestedValue(dimension=dimension, value=value, since_version=since))
    return gaps


def untested_extremes(facts: StudyFacts) -> list[UntestedExtreme]:
    """Forced extremes of the current grid whose architecture no finished trial had."""
    assert facts.current_grid is not None
    tested = {architecture_of(trial) for trial in facts.finished}
    return [
        UntestedExtreme(label=label, architecture=extreme)
        for label, extreme in distinct_extremes(facts.current_grid).items()
        if tuple(getattr(extreme, dimension) for dimension in DIMENSIONS) not in tested
    ]


def architecture_of(trial: TrackedTrial) -> tuple[int | float | str | None, ...]:
    """d_model, n_layers, n_heads and d_ff; None for what is not known."""
    return tuple(trial.trial.params.get(dimension) for dimension in DIMENSIONS)


def _kind(gap: Gap) -> Kind:
    return Kind.UNTESTED_VALUE if isinstance(gap, UntestedValue) else Kind.UNTESTED_EXTREME


def _text(gap: Gap, facts: StudyFacts) -> str:
    if isinstance(gap, UntestedExtreme):
        a = gap.architecture
        return (
            f"extreme {gap.label} was never tested: {a.d_model} wide, {a.n_layers} layers, "
            f"{a.n_heads} heads, d_ff {a.d_ff}"
        )
    if gap.since_version is None:
        return f"{gap.dimension} {gap.value} was never tested"
    assert facts.own_grid is not None
    return (
        f"{gap.dimension} {gap.value} was never tested: the study searched grid version "
        f"{facts.own_grid.version}, the value is there since version {gap.since_version}"
    )

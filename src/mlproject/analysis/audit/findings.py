"""The values that an audit consists of: findings, study by study.

How a finding is made stands in `checks`, how it is shown in `render`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlproject.models.arch_grid import Architecture
from mlproject.tracking.tracked_studies import TrackedTrial


@dataclass(frozen=True, kw_only=True)
class FindingKind:
    """A kind of finding: its name, and what somebody who reads it can do."""

    title: str
    """Of the kind in JSON and Markdown: programs may compare it, so it does not change."""
    advice: str
    names_trials: bool = False
    """Whether the text of each finding already names the trials concerned."""
    is_advice: bool = False
    """Of how the study searched, for the next one: its runs are as they should be, so that a study
    with no other finding is clean."""


@dataclass(frozen=True, kw_only=True)
class RunRef:
    """The run of a trial that a finding is about."""

    trial_number: int
    run_id: str


@dataclass(frozen=True, kw_only=True)
class UntestedValue:
    """A value of a dimension that the budget allows and no trial of the study finished with."""

    dimension: str
    """``d_model``, ``n_layers``, ``n_heads`` or ``d_ff``."""
    value: int
    since_version: int | None
    """The grid version that first offers the value, where the study's own does not."""

    def __str__(self) -> str:
        return f"{self.dimension}={self.value}"


@dataclass(frozen=True, kw_only=True)
class UntestedExtreme:
    """A forced extreme that no trial of the study finished with."""

    label: str
    architecture: Architecture

    def __str__(self) -> str:
        return self.label


Gap = UntestedValue | UntestedExtreme
"""What a supplementary trial can close."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or missing in a study."""

    kind: FindingKind
    text: str
    runs: tuple[RunRef, ...] = ()
    repaired: bool = False
    """Something was wrong and has been made good: told, but no reason to act."""
    gap: Gap | None = None


@dataclass(frozen=True, kw_only=True)
class StudyAudit:
    """All findings about one study, and how far it is."""

    study_name: str
    run_id: str
    trials: int
    finished: int
    """Trials that are complete or pruned, supplementary ones left out."""
    planned: int
    findings: tuple[Finding, ...]

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """Findings to act on in this study: not made good, and no advice for the next."""
        return tuple(f for f in self.findings if not f.repaired and not f.kind.is_advice)

    @property
    def advice(self) -> tuple[Finding, ...]:
        """Findings about how the study searched."""
        return tuple(finding for finding in self.findings if finding.kind.is_advice)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What supplementary trials can close."""
        return tuple(finding.gap for finding in self.findings if finding.gap is not None)


@dataclass(frozen=True, kw_only=True)
class ExperimentAudit:
    """The audits of all studies of an experiment."""

    experiment: str
    studies: tuple[StudyAudit, ...]
    foreign_runs: int
    """Runs of other shapes in the experiment, left out."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left to act on."""
        return not any(study.open_findings for study in self.studies)


def run_refs(trials: Sequence[TrackedTrial]) -> tuple[RunRef, ...]:
    """The runs of these trials."""
    return tuple(RunRef(trial_number=t.trial.trial_number, run_id=t.run_id) for t in trials)

"""The audit: what is wrong or missing in the studies of an experiment."""

from mlproject.analysis.audit.coverage import coverage_findings
from mlproject.analysis.audit.findings import ExperimentAudit, Kind, StudyAudit
from mlproject.analysis.audit.params import contradictions, missing_params
from mlproject.analysis.audit.study_facts import StudyFacts
from mlproject.analysis.audit.trials import (
    diverged_trials,
    failed_trials,
    missing_trials,
    near_duplicates,
    unfinished_trials,
)
from mlproject.tracking.tracked_studies import TrackedExperiment

DEFAULT_PLANNED = 50
"""Trials that the studies of the earlier effort were meant to have; their runs do not say."""

_CHECKS = (
    missing_params,
    missing_trials,
    unfinished_trials,
    failed_trials,
    coverage_findings,
    contradictions,
    near_duplicates,
    diverged_trials,
)

__all__ = ["DEFAULT_PLANNED", "audit_experiment", "audit_study"]


def audit_experiment(
    experiment: TrackedExperiment, *, default_planned: int = DEFAULT_PLANNED
) -> ExperimentAudit:
    """Everything that is wrong or missing, study by study."""
    facts = [StudyFacts(study, default_planned) for study in experiment.studies]
    return ExperimentAudit(
        experiment=experiment.name,
        studies=tuple(audit_study(each) for each in facts),
        foreign_runs=experiment.foreign_runs,
    )


def audit_study(facts: StudyFacts) -> StudyAudit:
    """All findings about one study, in the order of their kinds."""
    order = list(Kind)
    findings = [finding for check in _CHECKS for finding in check(facts)]
    return StudyAudit(
        study_name=facts.study.study_name,
        run_id=facts.study.run_id,
        trials=len(facts.study.trials),
        finished=len(facts.planned_finished),
        planned=facts.planned,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.kind))),
    )

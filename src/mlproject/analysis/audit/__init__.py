"""An audit says what is wrong or missing in the studies of an experiment, and changes none of them.

`checks` hold what is looked for, `render` how it is shown.
"""

from mlproject.analysis.analysed_study import DEFAULT_PLANNED, AnalysedStudy
from mlproject.analysis.audit.checks import CHECKS
from mlproject.analysis.audit.findings import ExperimentAudit, StudyAudit
from mlproject.tracking.tracked_studies import TrackedExperiment

__all__ = ["audit_experiment", "audit_study"]


def audit_experiment(
    experiment: TrackedExperiment, *, default_planned: int = DEFAULT_PLANNED
) -> ExperimentAudit:
    """Audit every study; `default_planned` is what a study was asked for where no run says it."""
    studies = (AnalysedStudy(study, default_planned) for study in experiment.studies)
    return ExperimentAudit(
        experiment=experiment.name,
        studies=tuple(audit_study(study) for study in studies),
        foreign_runs=experiment.foreign_runs,
    )


def audit_study(study: AnalysedStudy) -> StudyAudit:
    """Make every check of one study; findings are in the order of `CHECKS`."""
    return StudyAudit(
        study_name=study.tracked.study_name,
        run_id=study.tracked.run_id,
        trials=len(study.trials),
        finished=len(study.planned_finished),
        planned=study.planned,
        findings=tuple(finding for check in CHECKS.values() for finding in check(study)),
    )

"""An audit from the experiment in MLflow to the run that keeps it there."""

from dataclasses import dataclass

from mlproject.analysis.analysed_study import DEFAULT_PLANNED
from mlproject.analysis.audit import audit_experiment
from mlproject.analysis.audit.findings import ExperimentAudit
from mlproject.analysis.audit.render import as_json, as_markdown, as_text, summary
from mlproject.tracking.analysis_run import log_texts, open_analysis_run
from mlproject.tracking.store import connect_to_read
from mlproject.tracking.tracked_studies import read_studies, with_validation_losses


@dataclass(frozen=True, kw_only=True)
class AuditOutcome:
    """What was found, and where it is kept."""

    found: ExperimentAudit
    text: str
    """The findings for the terminal, study by study."""
    run_id: str
    """The run in MLflow that keeps them as a table, Markdown and JSON."""


def audit(
    experiment: str | None = None,
    *,
    planned_trials: int = DEFAULT_PLANNED,
    tracking_uri: str | None = None,
) -> AuditOutcome:
    """Find what is wrong or missing in the studies of an experiment.

    >>> from mlproject import audit
    >>> outcome = audit("phase6a")
    >>> outcome.found.is_clean
    False
    >>> study = outcome.found.studies[0]
    >>> study.study_name, study.finished, study.planned
    ('phase6a_100k_h3_threshold_1pct', 2, 2)
    >>> print(study.findings[0].text)
    n_heads 2 was never tested

    Args:
        experiment: the MLflow experiment; see `default_experiment` for None.
        planned_trials: trials that a study should have whose runs do not say.
        tracking_uri: MLflow's store; by default that of MLFLOW_TRACKING_URI, else ``mlflow.db`` in
            the working directory.

    Raises:
        UserError: one of its kinds: there is no such experiment, or MLflow does not answer.
    """
    store = connect_to_read(experiment, tracking_uri)
    studies = with_validation_losses(store, read_studies(store))
    found = audit_experiment(studies, default_planned=planned_trials)
    text = as_text(found)
    run_id = open_analysis_run(store, "audit")
    texts = {"audit.txt": text, "audit.md": as_markdown(found), "audit.json": as_json(found)}
    log_texts(store, run_id, texts=texts, note=summary(found))
    return AuditOutcome(found=found, text=text, run_id=run_id)

"""The parent run of a recovered study: its settings, its summary, the reports of the checks."""

from collections.abc import Sequence
from dataclasses import replace

from mlflow.entities import Run

from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import close_study_run, log_study_params, log_study_values
from mlproject.tracking.tracked_studies import study_trials
from mlproject.tracking.trial_run import TrialRun
from recovery.tags import MAXIMISE, RecoveryTag
from recovery.write.plan import StudyPlan

_OF_STUDY = (Param.BUDGET, Param.HORIZON, Param.TASK, Param.GRID_VERSION, Param.N_FEATURES)
_VALIDATION_TAG = "recovery.validation"


def needs_completion(parent: Run, plan: StudyPlan) -> bool:
    """Whether the parent run lacks something of this backfill, though no trial does."""
    return parent.data.tags.get(_digest_tag(plan)) != plan.digest


def complete_parent_run(store: TrackingStore, parent: Run, plan: StudyPlan) -> None:
    """Log everything about the study, then end its run.

    The parent of a live study keeps its own settings, summary and times; it only gains the
    reports of the recovery.
    """
    run_id = str(parent.info.run_id)
    _log_reports(store, run_id, plan)
    if parent.data.tags.get(Tag.ORIGIN) == Origin.LOG:
        trials = _with_epochs(study_trials(store, run_id), plan.runs)
        _describe(store, run_id, plan)
        _summarise(store, run_id, plan, trials)
        ends = [trial.ended_ms for trial in trials if trial.ended_ms]
        close_study_run(store, run_id, "FINISHED", max(ends, default=parent.info.start_time))
    store.client.set_tag(run_id, _digest_tag(plan), plan.digest)


def _describe(store: TrackingStore, run_id: str, plan: StudyPlan) -> None:
    logged_names = sorted({trial.record.logged_study_name for trial in plan.study.trials})
    log_study_params(store, run_id, _settings(plan))
    tags = {
        RecoveryTag.GRID.value: plan.study.grid,
        RecoveryTag.LOGGED_STUDY_NAME.value: ", ".join(logged_names),
    }
    log_study_values(store, run_id, metrics={}, tags=tags)


def _summarise(
    store: TrackingStore, run_id: str, plan: StudyPlan, trials: Sequence[TrialRun]
) -> None:
    # Matplotlib and Optuna take seconds to import; where nothing is new, they are not needed.
    from mlproject.analysis.summary.note import recovered_note
    from mlproject.analysis.summary.parent_run import summarise_study

    name = plan.study.study_name

    def note(runs: Sequence[TrialRun]) -> str:
        words = recovered_note(
            name,
            runs,
            sources=plan.sources,
            quarantined=plan.quarantined,
            reports=plan.label,
        )
        return words + _best_of_maximised(runs)

    summarise_study(store, run_id, name, trials, note=lambda runs, _claims, _ranked: note(runs))


def _best_of_maximised(runs: Sequence[TrialRun]) -> str:
    """The best trial of a study that maximised something; the summary knows losses alone."""
    found = []
    for run in runs:
        metric = run.tags.get(RecoveryTag.OBJECTIVE, "").removeprefix(MAXIMISE)
        if metric in run.metrics and run.state is TrialState.COMPLETE:
            found.append((run.metrics[Metric(metric)], metric, run))
    if not found:
        return ""
    value, metric, best = max(found, key=lambda each: each[0])
    return (
        f"\n\nThe study maximised {metric}: its best is trial {best.trial_number} with {value:.4f}."
    )


def _with_epochs(trials: Sequence[TrialRun], sources: Sequence[TrialRun]) -> list[TrialRun]:
    """Trials as MLflow has them, with the epochs of the sources: MLflow would be asked for each."""
    epochs = {(trial.trial_number, trial.started_ms): trial.epochs for trial in sources}
    return [
        replace(trial, epochs=epochs.get((trial.trial_number, trial.started_ms), ()))
        for trial in trials
    ]


def _digest_tag(plan: StudyPlan) -> str:
    return f"{_VALIDATION_TAG}.{plan.label.partition('/')[2].replace('+', '_')}"


def _log_reports(store: TrackingStore, run_id: str, plan: StudyPlan) -> None:
    validation, folder = plan.validation, plan.label
    store.client.log_text(run_id, validation.result_json, f"{folder}/validation.json")
    store.client.log_text(run_id, validation.report_html, f"{folder}/validation.html")
    if validation.quarantine_csv:
        store.client.log_text(run_id, validation.quarantine_csv, f"{folder}/quarantine.csv")


def _settings(plan: StudyPlan) -> dict[str, object]:
    """The params that all trials share."""
    shared = {}
    for param in _OF_STUDY:
        values = {run.params.get(param) for run in plan.runs}
        if len(values) == 1 and None not in values:
            shared[param.value] = values.pop()
    return dict(shared)

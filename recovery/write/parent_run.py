"""What the parent run of a recovered study shows: settings, best trial, table, checks."""

from collections.abc import Mapping

import pandas as pd
from mlflow.entities import Run

from mlproject.text.escaping import for_markdown, for_spreadsheet
from mlproject.tracking.names import NOTE_TAG, Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.store import TrackingStore
from mlproject.tracking.study_run import (
    child_runs,
    close_study_run,
    log_study_params,
    log_study_values,
)
from recovery.tags import RecoveryTag
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
        trials = [run for run in child_runs(store, run_id) if Tag.TRIAL_NUMBER in run.data.tags]
        best = _best(trials)
        log_study_params(store, run_id, _settings(plan))
        logged_names = sorted({trial.record.logged_study_name for trial in plan.study.trials})
        log_study_values(
            store,
            run_id,
            metrics=best.data.metrics if best else {},
            tags={
                NOTE_TAG: _note(plan, trials, best),
                RecoveryTag.GRID.value: plan.study.grid,
                RecoveryTag.LOGGED_STUDY_NAME.value: ", ".join(logged_names),
            },
        )
        store.client.log_text(run_id, _table(trials), "trials.csv")
        ends = [run.info.end_time for run in trials if run.info.end_time]
        close_study_run(store, run_id, "FINISHED", max(ends, default=parent.info.start_time))
    store.client.set_tag(run_id, _digest_tag(plan), plan.digest)


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


def _best(trials: list[Run]) -> Run | None:
    complete = [
        run
        for run in trials
        if run.data.tags.get(Tag.TRIAL_STATE) == TrialState.COMPLETE
        and Metric.BEST_VAL_LOSS in run.data.metrics
    ]
    return min(complete, key=lambda run: run.data.metrics[Metric.BEST_VAL_LOSS], default=None)


def _note(plan: StudyPlan, trials: list[Run], best: Run | None) -> str:
    count = dict.fromkeys(TrialState, 0)
    for run in trials:
        count[TrialState(run.data.tags[Tag.TRIAL_STATE])] += 1
    lines = [
        f"**{plan.study.study_name}**, recovered from {for_markdown(', '.join(plan.sources))}.",
        "",
        f"{len(trials)} trials: {count[TrialState.COMPLETE]} complete, "
        f"{count[TrialState.PRUNED]} pruned, {count[TrialState.FAIL]} failed. "
        f"{plan.quarantined} were quarantined: see {plan.label}/ among the artifacts.",
    ]
    if best is not None:
        shown = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)
        known: Mapping[str, str] = best.data.params
        lines += [
            "",
            f"Best is trial {best.data.tags[Tag.TRIAL_NUMBER]} with a validation loss of "
            f"{best.data.metrics[Metric.BEST_VAL_LOSS]:.4f}: "
            + ", ".join(f"{name} {known[name]}" for name in shown if name in known)
            + ".",
        ]
    return "\n".join(lines)


def _table(trials: list[Run]) -> str:
    rows = [
        {
            Tag.TRIAL_NUMBER.value: int(run.data.tags[Tag.TRIAL_NUMBER]),
            Tag.TRIAL_STATE.value: run.data.tags[Tag.TRIAL_STATE],
            **run.data.metrics,
            **run.data.params,
            **{k: v for k, v in run.data.tags.items() if k in set(Tag) or k in set(RecoveryTag)},
        }
        for run in trials
    ]
    if not rows:
        return ""
    table = pd.DataFrame(rows).sort_values(Tag.TRIAL_NUMBER.value)
    return str(for_spreadsheet(table).to_csv(index=False))

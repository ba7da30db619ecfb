"""The table of trials that a report is about, of every study of an experiment."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.dimensions import DIMENSIONS
from mlproject.analysis.recommended import Recommendation
from mlproject.data.labels import parse_horizon, parse_task
from mlproject.errors import UserError
from mlproject.tracking.names import (
    REAL_PARAMS,
    VERDICT_BASELINES_TAG,
    VERDICT_PRIOR_TAG,
    ClaimMetric,
    Metric,
    Origin,
    Param,
    Tag,
    TrialState,
)
from mlproject.tracking.tracked_studies import TrackedExperiment, TrackedTrial

_ARCHITECTURE = (*DIMENSIONS, Param.PARAM_COUNT)
_LOSS = Metric.BEST_VAL_LOSS
_ORDER = ["horizon_days", "task", "budget_parameters", "study", "number"]
_THRESHOLD = ("threshold_", "pct")


class NothingToReport(UserError):
    """The experiment holds no trial that a report could be about."""


@dataclass(frozen=True, kw_only=True)
class ReportTrials:
    """The complete trials of known architecture, and how many others were left out."""

    experiment: str
    frame: pd.DataFrame
    """One row per trial, see `_row`; studies by target, then budget, then name."""
    stopped: pd.DataFrame
    """The same of the trials that were pruned or diverged: where sizes are compared they count too.
    `loss` is the lowest that they had; infinite where it is not known or exploded."""
    diverged: int
    """Complete trials whose loss exploded: they say something of their settings alone."""
    incomplete: int
    """Complete trials of which the loss or the architecture is not known."""
    unended: int
    """Trials that were pruned, failed or still run."""
    foreign_runs: int
    recommended: Mapping[str, Recommendation]
    """By study, of those whose runs say what they recommend."""


def report_trials(experiment: TrackedExperiment) -> ReportTrials:
    """Gather the trials of all studies into one table, and what the studies recommend.

    Raises:
        NothingToReport: no trial is complete with a loss and an architecture.
    """
    rows: list[dict[str, object]] = []
    stopped: list[dict[str, object]] = []
    recommended: dict[str, Recommendation] = {}
    diverged = incomplete = unended = 0
    for tracked in experiment.studies:
        study = AnalysedStudy(tracked)
        for trial in study.trials:
            if trial.trial.state is not TrialState.COMPLETE:
                unended += 1
            elif trial.trial.has_diverged:
                diverged += 1
            elif (row := _row(trial, study, trial.trial.metrics.get(_LOSS))) is None:
                incomplete += 1
            else:
                rows.append(row)
        stopped += _stopped_rows(study)
        if study.recommendation is not None:
            recommended[tracked.study_name] = study.recommendation
    if not rows:
        trials = sum(len(study.trials) for study in experiment.studies)
        raise NothingToReport(
            f"experiment {experiment.name!r} holds {len(experiment.studies)} studies with {trials} "
            "trials, none of them complete with a loss and an architecture: run a study, or "
            "recover one, before you report on it"
        )
    frame = pd.DataFrame(rows).sort_values(_ORDER, ignore_index=True)
    return ReportTrials(
        experiment=experiment.name,
        frame=frame,
        stopped=pd.DataFrame(stopped, columns=frame.columns).sort_values(_ORDER, ignore_index=True),
        diverged=diverged,
        incomplete=incomplete,
        unended=unended,
        foreign_runs=experiment.foreign_runs,
        recommended=recommended,
    )


def _stopped_rows(study: AnalysedStudy) -> Iterator[dict[str, object]]:
    """The rows of a study's trials that were pruned or diverged."""
    for trial in study.finished:
        if trial.trial.state is TrialState.COMPLETE and not trial.trial.has_diverged:
            continue
        loss = math.inf if trial.trial.has_diverged else trial.trial.metrics.get(_LOSS, math.inf)
        if (row := _row(trial, study, loss)) is not None:
            yield row


def _row(trial: TrackedTrial, study: AnalysedStudy, loss: float | None) -> dict[str, object] | None:
    """A trial as a row; None where a figure that every picture needs is not known."""
    params, metrics = trial.trial.params, trial.trial.metrics
    horizon, task = study.shared(Param.HORIZON), study.shared(Param.TASK)
    known = all(int(params.get(name, 0)) > 0 for name in _ARCHITECTURE)
    if study.budget is None or not task or not known or loss is None or loss <= 0:
        return None
    try:
        horizon_days, task = parse_horizon(horizon or ""), parse_task(task).name
    except UserError:
        return None
    d_model, d_ff = int(params[Param.D_MODEL]), int(params[Param.D_FF])
    return {
        "study": study.tracked.study_name,
        "run_id": trial.run_id,
        "number": trial.trial.trial_number,
        "origin": trial.trial.tags.get(Tag.ORIGIN, Origin.LIVE.value),
        "budget": study.budget.name,
        "budget_parameters": study.budget.parameters,
        "horizon_days": horizon_days,
        "task": task,
        "target": target_label(horizon_days, task),
        "loss": loss,
        "prior_loss": metrics.get(Metric.PRIOR_LOSS, float("nan")),
        **_claims(study),
        **{str(name): int(params[name]) for name in _ARCHITECTURE},
        "d_ff_ratio": d_ff / d_model,
        **{str(name): float(params.get(name, float("nan"))) for name in REAL_PARAMS},
    }


def _claims(study: AnalysedStudy) -> dict[str, object]:
    """What the trial's study says of its best, the same in every row of it."""
    metrics, tags = study.tracked.metrics, study.tracked.tags
    adjusted = (ClaimMetric.VAL_LOSS_ADJUSTED, ClaimMetric.SKILL_ADJUSTED)
    return {
        **{str(name): metrics.get(name, float("nan")) for name in adjusted},
        **{name: tags.get(name, "–") for name in (VERDICT_PRIOR_TAG, VERDICT_BASELINES_TAG)},
    }


def target_label(horizon_days: int, task: str) -> str:
    """What is predicted, in words: ``1 % within 3 days``."""
    start, end = _THRESHOLD
    percent = task.removeprefix(start).removesuffix(end)
    return f"{percent} % within {horizon_days} day{'s' * (horizon_days > 1)}"

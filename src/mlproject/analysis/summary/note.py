"""A study in words: the note that its parent run shows, in Markdown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlproject.analysis.claims.verdicts import StudyClaims
from mlproject.analysis.summary.claims import claims_in_words
from mlproject.analysis.summary.recommendation import recommendation_in_words
from mlproject.text.escaping import for_markdown
from mlproject.tracking.names import Metric, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun, best_run

if TYPE_CHECKING:  # they import torch
    from mlproject.search.recommendation import ArchitectureEstimate
    from mlproject.search.study_settings import StudySettings

_METRICS = (Metric.BEST_VAL_LOSS, Metric.PRIOR_LOSS, Metric.SKILL, Metric.VAL_AUC)
_ARCHITECTURE = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)


def study_note(
    settings: "StudySettings",
    runs: Sequence[TrialRun],
    claims: StudyClaims | None,
    ranked: Sequence["ArchitectureEstimate"],
) -> str:
    """How a live study stands, what it recommends and which trial was the luckiest."""
    lines = [
        f"**{settings.study_name}**: the best of {settings.budget.name} parameters for "
        f"`{settings.task.name}` within {settings.horizon_days} days.",
        "",
        *_counts(settings, runs),
    ]
    lines += [line for paragraph in recommendation_in_words(ranked) for line in ("", paragraph)]
    best = best_run(runs)
    if best is not None:
        recovered = "recovered " if best.is_recovered else ""
        lines += [
            "",
            f"The lowest loss so far is that of {recovered}trial {best.trial_number}: "
            f"{_architecture(best)}.",
            "",
            "| metric | value |",
            "|---|---|",
            *(f"| {m} | {best.metrics[m]:.4f} |" for m in _METRICS if m in best.metrics),
        ]
    if claims is not None:
        lines += [line for paragraph in claims_in_words(claims) for line in ("", paragraph)]
    return "\n".join(lines)


def recovered_note(
    study_name: str,
    runs: Sequence[TrialRun],
    *,
    sources: Sequence[str],
    quarantined: int,
    reports: str,
) -> str:
    """What `sources` told of a study; `reports` is the folder of artifacts that says the rest."""
    lines = [
        f"**{study_name}**, recovered from {for_markdown(', '.join(sources))}.",
        "",
        f"{len(runs)} trials: {_count(runs, TrialState.COMPLETE)} complete, "
        f"{_count(runs, TrialState.PRUNED)} pruned, {_count(runs, TrialState.FAIL)} failed. "
        f"{quarantined} were quarantined: see {reports}/ among the artifacts.",
    ]
    best = best_run(runs)
    if best is not None:
        lines += [
            "",
            f"Best is trial {best.trial_number} with a validation loss of "
            f"{best.metrics[Metric.BEST_VAL_LOSS]:.4f}: {_architecture(best)}.",
        ]
    return "\n".join(lines)


def _architecture(run: TrialRun) -> str:
    return ", ".join(f"{p} {run.params[p]}" for p in _ARCHITECTURE if p in run.params)


def _counts(settings: "StudySettings", runs: Sequence[TrialRun]) -> list[str]:
    live = [run for run in runs if not run.is_recovered]
    finished = [run for run in live if run.is_finished]
    extra = sum(Tag.SUPPLEMENT in run.tags for run in finished)
    ends = f"{_count(live, TrialState.PRUNED)} of them pruned; {_count(live, TrialState.FAIL)} "
    ends += "failed."
    recovered = len(runs) - len(live)
    if recovered:
        # What was planned was planned for the old program.
        return [
            f"{recovered} trials were recovered from logs.",
            "",
            f"Since then {len(finished)} trials finished, {extra} of them supplementary, {ends}",
        ]
    supplementary = f" and {extra} supplementary ones" if extra else ""
    planned = f"{len(finished) - extra} of {settings.n_trials} trials finished"
    return [f"{planned}{supplementary}, {ends}"]


def _count(runs: Sequence[TrialRun], state: TrialState) -> int:
    return sum(run.state is state for run in runs)

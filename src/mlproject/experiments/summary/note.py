"""A study in words: the note that its parent run shows."""

from collections.abc import Sequence

from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.trial_run import TrialRun

_METRICS = (Metric.BEST_VAL_LOSS, Metric.PRIOR_LOSS, Metric.SKILL, Metric.VAL_AUC)
_ARCHITECTURE = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def study_note(settings: StudySettings, runs: Sequence[TrialRun]) -> str:
    """How the study stands and which trial is best, in Markdown."""
    lines = [
        f"**{settings.study_name}**: the best of {settings.budget.name} parameters for "
        f"`{settings.task.name}` within {settings.horizon_days} days.",
        "",
        *_counts(settings, runs),
    ]
    best = best_run(runs)
    if best is not None:
        shown = ", ".join(f"{p} {best.params[p]}" for p in _ARCHITECTURE if p in best.params)
        recovered = "recovered " if _is_recovered(best) else ""
        lines += [
            "",
            f"Best so far is {recovered}trial {best.trial_number}: {shown}.",
            "",
            "| metric | value |",
            "|---|---|",
            *(f"| {m} | {best.metrics[m]:.4f} |" for m in _METRICS if m in best.metrics),
        ]
        if Metric.SKILL in best.metrics:
            lines += ["", _verdict(best.metrics[Metric.SKILL])]
    return "\n".join(lines)


def best_run(runs: Sequence[TrialRun]) -> TrialRun | None:
    """The complete trial with the lowest validation loss; None before there is one."""
    complete = [
        run
        for run in runs
        if run.state is TrialState.COMPLETE and Metric.BEST_VAL_LOSS in run.metrics
    ]
    return min(complete, key=lambda run: run.metrics[Metric.BEST_VAL_LOSS], default=None)


def _counts(settings: StudySettings, runs: Sequence[TrialRun]) -> list[str]:
    live = [run for run in runs if not _is_recovered(run)]
    finished = [run for run in live if run.state in _FINISHED]
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


def _is_recovered(run: TrialRun) -> bool:
    return run.tags.get(Tag.ORIGIN) == Origin.LOG


def _verdict(skill: float) -> str:
    if skill > 0:
        return f"It beats the prior (always predicting the training base rate) by {skill:.2%}."
    return f"It does not beat the prior (always predicting the training base rate): {skill:.2%}."

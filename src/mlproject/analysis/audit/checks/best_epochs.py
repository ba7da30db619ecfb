"""The checks of where the best epoch of a trial lies: in the warm-up, and long before its end.

Trials are judged that ended with all their validation losses known; in fewer than five of them
nothing is found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Finding, FindingKind, run_refs
from mlproject.tracking.names import Metric, Param, TrialState
from mlproject.tracking.tracked_studies import TrackedTrial
from mlproject.training.recipe import RECIPES
from mlproject.training.schedule import steps_of_warmup, steps_per_epoch

BEST_IN_WARM_UP = FindingKind(
    title="best epoch inside the warm-up",
    advice="search lower learning rates and shorter warm-ups: what follows decides nothing here",
    is_advice=True,
)
STOPPED_LATE = FindingKind(
    title="stopped late",
    advice="with a lower learning rate the best epoch comes later; else stop and prune earlier",
    is_advice=True,
)
TRAINED_AFTER_BEST = FindingKind(
    title="most epochs after the best one",
    advice="fewer epochs (`max_epochs`) for more trials or seeds cost the same",
    is_advice=True,
)

_TRIALS_AT_LEAST = 5
_MOST = 0.5


@dataclass(frozen=True, kw_only=True)
class _Course:
    """How one trial went."""

    trial: TrackedTrial
    best_epoch: int
    """The first with the lowest validation loss."""
    epochs_run: int

    @property
    def epochs_after_best(self) -> int:
        return self.epochs_run - self.best_epoch

    @property
    def ran_out_of_patience(self) -> bool:
        """Whether it ended before its epochs without being pruned."""
        planned = self.trial.trial.params.get(Param.EPOCHS)
        is_complete = self.trial.trial.state is TrialState.COMPLETE
        return is_complete and isinstance(planned, int) and self.epochs_run < planned


def best_in_warm_up(study: AnalysedStudy) -> Iterator[Finding]:
    """Find that most trials were best before the learning rate had reached its peak."""
    judged = [
        (course, course.best_epoch * steps, warm_up)
        for course in _courses(study)
        if (steps := _steps_per_epoch(study, course.trial))
        and (warm_up := _warm_up(course.trial, steps))
    ]
    inside = [(course, step, warm_up) for course, step, warm_up in judged if step <= warm_up]
    if _are_most(inside, judged):
        epoch = median_low(course.best_epoch for course, _, _ in inside)
        step, warm_up = (median_low(numbers) for numbers in list(zip(*inside, strict=True))[1:])
        text = (
            f"{len(inside)} of {len(judged)} trials were best inside their warm-up "
            f"(medians: epoch {epoch}, step {step} of {warm_up})"
        )
        runs = run_refs([course.trial for course, _, _ in inside])
        yield Finding(kind=BEST_IN_WARM_UP, text=text, runs=runs)


def stopped_late(study: AnalysedStudy) -> Iterator[Finding]:
    """Find that patience, or the pruner's first question, is longer than the way to the best."""
    courses = _courses(study)
    impatient = [course for course in courses if course.ran_out_of_patience]
    if _are_most(impatient, courses):
        patience = median_low(course.epochs_after_best for course in impatient)
        best = median_low(course.best_epoch for course in impatient)
        if patience > best:
            text = (
                f"patience waits {patience} epochs for a better one, and the best came at epoch "
                f"{best} (median of {len(impatient)} trials that it ended)"
            )
            yield Finding(kind=STOPPED_LATE, text=text)
    asked = _first_asked(study) if courses else None
    if asked is not None:
        reached = [course for course in courses if course.epochs_run >= asked]
        best = median_low(course.best_epoch for course in courses)
        if asked > best and _are_most(reached, courses):
            text = (
                f"the pruner is first asked at epoch {asked}, and the best came at epoch {best} "
                f"(median of {len(courses)} trials)"
            )
            yield Finding(kind=STOPPED_LATE, text=text)


def trained_after_best(study: AnalysedStudy) -> Iterator[Finding]:
    """Find that most epochs of the study came after the best one of their trial."""
    courses = _courses(study)
    total = sum(course.epochs_run for course in courses)
    after = sum(course.epochs_after_best for course in courses)
    if len(courses) >= _TRIALS_AT_LEAST and after > _MOST * total:
        text = (
            f"{after / total:.0%} of all epochs ({after:,} of {total:,}) came after the best one "
            f"of their trial"
        )
        yield Finding(kind=TRAINED_AFTER_BEST, text=text)


def _are_most(some: Sequence[object], judged: Sequence[object]) -> bool:
    return len(judged) >= _TRIALS_AT_LEAST and len(some) > _MOST * len(judged)


def _courses(study: AnalysedStudy) -> list[_Course]:
    found = []
    for trial in study.finished:
        losses = {epoch.epoch: epoch.val_loss for epoch in trial.trial.epochs}
        epochs_run = len(losses)
        # A loss that never arrived may have been the best.
        is_whole = epochs_run == trial.trial.metrics.get(Metric.EPOCHS_RUN)
        if losses and is_whole and max(losses) == epochs_run and not trial.trial.has_diverged:
            best = min(losses, key=lambda epoch: (losses[epoch], epoch))
            found.append(_Course(trial=trial, best_epoch=best, epochs_run=epochs_run))
    return found


def _steps_per_epoch(study: AnalysedStudy, trial: TrackedTrial) -> int:
    """How many steps an epoch of the trial had; 0 where that is not known."""
    windows, max_steps = study.whole("train_windows"), study.whole("max_steps")
    batch_size = trial.trial.params.get(Param.BATCH_SIZE)
    if not windows or max_steps is None or not isinstance(batch_size, int) or batch_size < 1:
        return 0
    return steps_per_epoch(windows, batch_size=batch_size, max_steps=max_steps)


def _warm_up(trial: TrackedTrial, steps_per_epoch: int) -> int:
    """Over how many steps the learning rate of the trial rose; 0 where that is not known."""
    params = trial.trial.params
    epochs, version = params.get(Param.EPOCHS), params.get(Param.SEARCH_SPACE, 1)
    recipe = RECIPES.get(int(version))
    if recipe is None or not isinstance(epochs, int):
        return 0
    return steps_of_warmup(
        epochs * steps_per_epoch,
        warmup_steps=int(params.get(Param.WARMUP_STEPS, 0)),
        warmup_share=recipe.warmup_share,
    )


def _first_asked(study: AnalysedStudy) -> int | None:
    """The first epoch at which the study's pruner may stop a trial; None where it is not known."""
    # Optuna takes a while to import, and most audits do not need it.
    from mlproject.search.sampler import first_asked

    return first_asked(study.whole(Param.SEARCH_SPACE) or 0)

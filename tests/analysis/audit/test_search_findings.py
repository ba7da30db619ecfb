"""Whether the search of a study was sound: found where it was not, and nothing where it was."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mlproject.analysis.audit import audit_experiment, audit_study
from mlproject.analysis.audit.checks.best_epochs import (
    BEST_IN_WARM_UP,
    STOPPED_LATE,
    TRAINED_AFTER_BEST,
)
from mlproject.analysis.audit.checks.range_edges import BEST_AT_EDGE
from mlproject.analysis.audit.checks.seed_spread import SEED_SPREAD
from mlproject.analysis.audit.checks.validation_windows import (
    BASE_RATES_DIFFER,
    SKILL_OF_OTHER_WINDOWS,
)
from mlproject.analysis.audit.findings import FindingKind
from mlproject.analysis.audit.render import as_json, as_text, summary
from mlproject.models.arch_grid import architecture_grid
from mlproject.models.budget import parse_budget
from mlproject.tracking.names import Metric, Origin, Param, Tag, TrialState
from mlproject.tracking.tracked_studies import TrackedExperiment
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import restore_epochs
from tests.analysis.audit.conftest import study_of, trial_of

GRID = architecture_grid(parse_budget("2M"), 25)
SPANS = {
    "train_windows": "3320",  # 13 steps of 256
    "validation_windows": "713",
    "batch_size": "256",
    "max_steps": "0",
    "max_epochs": "0",
    "search_space": "1",
    "train_base_rate": "0.25",
}
"""What the parent run of a study says."""
MIDDLE = {Param.LEARNING_RATE: 3e-4, Param.WARMUP_STEPS: 200}
"""Settings away from the edges of their ranges."""


def _trial(number: int, *, loss: float = 0.5, params: Any = None, tags: Any = None) -> TrialRun:
    return trial_of(
        GRID.architectures[number % 80], GRID, number, loss=loss, params=params, tags=tags
    )


def _course(
    trial: TrialRun, *, best: int, epochs_run: int, said: int | None = None, **changes: Any
) -> TrialRun:
    """The trial with a curve that is lowest at the epoch `best`."""
    curve = {epoch: 0.5 + 0.01 * abs(epoch - best) for epoch in range(1, epochs_run + 1)}
    metrics = {**trial.metrics, Metric.EPOCHS_RUN: float(epochs_run if said is None else said)}
    return replace(trial, epochs=restore_epochs({}, curve), metrics=metrics, **changes)


def _courses(*, best: int, epochs_run: int, of: int = 10, **changes: Any) -> list[TrialRun]:
    return [
        _course(_trial(number), best=best, epochs_run=epochs_run, **changes) for number in range(of)
    ]


def _with_metrics(trials: Iterable[TrialRun], **metrics: float) -> list[TrialRun]:
    named = {Metric(name): value for name, value in metrics.items()}
    return [replace(trial, metrics={**trial.metrics, **named}) for trial in trials]


def _prior_loss(rate: float, predicted: float = 0.25) -> float:
    return -rate * math.log(predicted) - (1 - rate) * math.log(1 - predicted)


def _texts(
    trials: Sequence[TrialRun], kind: FindingKind, *, params: Any = SPANS, **study: Any
) -> list[str]:
    audit = audit_study(study_of(trials, params=params, **study))
    return [finding.text for finding in audit.findings if finding.kind is kind]


def badly_searched() -> list[TrialRun]:
    """The trials of a study whose search was unsound in every way there is."""
    drawn = _ranked(8, {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 100})
    again = [
        replace(drawn[0], trial_number=50 + n, metrics={Metric.BEST_VAL_LOSS: loss})
        for n, loss in enumerate((0.45, 0.62, 0.45, 0.62))
    ]
    trials = [_course(trial, best=3, epochs_run=13) for trial in [*drawn, *again]]
    return _with_metrics(trials, prior_loss=_prior_loss(0.35), skill=0.1)


def test_trials_that_are_best_inside_their_warm_up_are_found() -> None:
    # 13 steps an epoch: epoch 7 ends with step 91 of 100, epoch 8 with step 104.
    trials = [*_courses(best=7, epochs_run=40)[:6], *_courses(best=8, epochs_run=40)[6:]]
    (text,) = _texts(trials, BEST_IN_WARM_UP)
    said = "6 of 10 trials were best inside their warm-up (medians: epoch 7, step 91 of 100)"
    assert text == said
    (finding,) = (
        f for f in audit_study(study_of(trials, params=SPANS)).findings if f.kind is BEST_IN_WARM_UP
    )
    assert [ref.trial_number for ref in finding.runs] == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("best", "changes", "found"),
    [
        (8, {}, False),
        (8, {"max_steps": "12"}, True),
        (7, {}, True),
        (7, {"train_windows": ""}, False),
        (7, {"max_steps": "None"}, False),
        # Of more windows an epoch takes 2^17: 512 steps, and 7 * 512 > 100.
        (7, {"train_windows": "9000000"}, False),
    ],
)
def test_the_warm_up_is_counted_in_the_steps_of_the_study(
    best: int, changes: dict[str, str], found: bool
) -> None:
    trials = _courses(best=best, epochs_run=40)
    assert bool(_texts(trials, BEST_IN_WARM_UP, params={**SPANS, **changes})) is found


def test_an_epoch_of_a_thousand_markets_has_512_steps() -> None:
    trials = [
        replace(t, params={**t.params, Param.WARMUP_STEPS: 512 * 7})
        for t in _courses(best=7, epochs_run=40)
    ]
    params = {**SPANS, "train_windows": "9000000"}
    (text,) = _texts(trials, BEST_IN_WARM_UP, params=params)
    assert "step 3584 of 3584" in text


def test_patience_longer_than_the_way_to_the_best_is_found() -> None:
    (text,) = _texts(_courses(best=3, epochs_run=9), STOPPED_LATE)
    assert text == (
        "patience waits 6 epochs for a better one, and the best came at epoch 3 (median of 10 "
        "trials that it ended)"
    )


def test_a_pruner_that_is_asked_after_the_best_epoch_is_found() -> None:
    pruned = _courses(best=9, epochs_run=12, state=TrialState.PRUNED)
    (text,) = _texts(pruned, STOPPED_LATE)
    assert text == (
        "the pruner is first asked at epoch 10, and the best came at epoch 9 (median of 10 trials)"
    )


@pytest.mark.parametrize(
    "trials",
    [
        _courses(best=20, epochs_run=30),  # patience is shorter than the way
        _courses(best=10, epochs_run=20),  # as long, and the pruner is asked in time
        _courses(best=3, epochs_run=75, of=4),  # too few to tell
        # All the epochs there were: nothing waited, and few got as far as the pruner.
        [replace(t, params={**t.params, Param.EPOCHS: 9}) for t in _courses(best=3, epochs_run=9)],
    ],
    ids=["short", "equal", "few", "planned"],
)
def test_a_study_that_stops_in_time_is_no_finding(trials: list[TrialRun]) -> None:
    assert _texts(trials, STOPPED_LATE) == []


def test_where_nothing_says_the_search_space_the_pruner_is_not_judged() -> None:
    trials = _courses(best=9, epochs_run=12, state=TrialState.PRUNED)
    assert _texts(trials, STOPPED_LATE, params={}) == []
    assert _texts(trials, STOPPED_LATE, params={"search_space": "999"}) == []


def test_a_study_that_trains_mostly_after_the_best_epoch_is_found() -> None:
    (text,) = _texts(_courses(best=3, epochs_run=13), TRAINED_AFTER_BEST)
    assert text == "77% of all epochs (100 of 130) came after the best one of their trial"
    assert _texts(_courses(best=5, epochs_run=10), TRAINED_AFTER_BEST) == []


def test_trials_without_all_their_losses_are_not_judged() -> None:
    lost = _courses(best=3, epochs_run=13, said=14)
    no_end = [
        replace(t, metrics={Metric.BEST_VAL_LOSS: 0.5}) for t in _courses(best=3, epochs_run=13)
    ]
    gap = [replace(t, epochs=t.epochs[1:]) for t in _courses(best=3, epochs_run=13, said=12)]
    exploded = _courses(best=3, epochs_run=13, tags={Tag.DIVERGED.value: "true"})
    for trials in (lost, no_end, gap, exploded):
        for kind in (BEST_IN_WARM_UP, STOPPED_LATE, TRAINED_AFTER_BEST):
            assert _texts(trials, kind) == []


def _ranked(best: int, params: dict[Param, Any], *, of: int = 50) -> list[TrialRun]:
    """Trials of which the `best` best have these params, the others those of the middle.

    Good and bad ones follow one another in no order.
    """
    return [
        _trial(rank * 7 % of, loss=0.5 + 0.001 * rank, params=params if rank < best else MIDDLE)
        for rank in range(of)
    ]


@pytest.mark.parametrize(
    ("params", "text"),
    [
        # The range is 1e-4 to 1e-3, on a logarithmic scale: its lower tenth ends at 1.26e-4.
        (
            {Param.LEARNING_RATE: 1.25e-4, Param.WARMUP_STEPS: 200},
            "7 of the 10 best trials have learning_rate at the lower edge of its range "
            "(0.0001..0.001 log)",
        ),
        (
            {Param.DROPOUT: 0.285, Param.LEARNING_RATE: 3e-4, Param.WARMUP_STEPS: 200},
            "7 of the 10 best trials have dropout at the upper edge of its range (0.1..0.3)",
        ),
        (
            {Param.WARMUP_STEPS: 100, Param.LEARNING_RATE: 3e-4},
            "7 of the 10 best trials have warmup_steps at the lower edge of its range "
            "(100 200 300 500)",
        ),
    ],
)
def test_best_trials_at_the_edge_of_a_range_are_found(params: Any, text: str) -> None:
    assert _texts(_ranked(7, params), BEST_AT_EDGE) == [text]


@pytest.mark.parametrize(
    ("trials", "study"),
    [
        (_ranked(10, {Param.LEARNING_RATE: 1.27e-4, Param.WARMUP_STEPS: 200}), SPANS),
        (_ranked(5, {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}), SPANS),
        # The sampler drew all there.
        (_ranked(50, {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}), SPANS),
        # A best fifth of four tells nothing.
        (_ranked(4, {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}, of=24), SPANS),
        (_ranked(10, {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}), {}),
        # With a cap on the epochs, their range is another.
        (
            _ranked(10, {Param.EPOCHS: 50, Param.LEARNING_RATE: 3e-4, Param.WARMUP_STEPS: 200}),
            {**SPANS, "max_epochs": "60"},
        ),
        # Settings outside the range are of another search.
        (_ranked(10, {Param.LEARNING_RATE: 1e-5, Param.WARMUP_STEPS: 200}), SPANS),
    ],
    ids=["inside", "half", "all there", "few", "unknown", "capped", "outside"],
)
def test_best_trials_elsewhere_are_no_finding(trials: list[TrialRun], study: Any) -> None:
    assert _texts(trials, BEST_AT_EDGE, params=study) == []


def test_most_trials_at_an_edge_good_and_bad_alike_are_no_finding() -> None:
    at_edge = {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}
    pairs = zip(_ranked(50, at_edge), _ranked(0, at_edge), strict=True)
    trials = [
        there if rank % 10 < 7 else elsewhere for rank, (there, elsewhere) in enumerate(pairs)
    ]
    assert _texts(trials, BEST_AT_EDGE) == []


def test_supplementary_trials_do_not_speak_for_a_range() -> None:
    at_edge = {Param.LEARNING_RATE: 1e-4, Param.WARMUP_STEPS: 200}
    trials = [
        replace(t, tags={**t.tags, Tag.SUPPLEMENT.value: "n_layers=64"} if n < 10 else t.tags)
        for n, t in enumerate(_ranked(10, at_edge, of=60))
    ]
    assert _texts(trials, BEST_AT_EDGE) == []


def _repeated(seed_spread: float, *, repeats: int = 4, spread: float = 0.004) -> list[TrialRun]:
    """Six trials that differ by `spread` from one to the next, then others of the first's kind."""
    first = [_trial(number, loss=0.5 + spread * number) for number in range(6)]
    again = [
        replace(
            first[0],
            trial_number=6 + n,
            metrics={Metric.BEST_VAL_LOSS: 0.5 + seed_spread * (-1) ** n},
        )
        for n in range(repeats)
    ]
    return [*first, *again]


def test_seeds_that_spread_as_architectures_do_are_found() -> None:
    (text,) = _texts(_repeated(0.02), SEED_SPREAD)
    assert text == (
        "seeds alone spread the validation loss by 0.0200 (5 trials of 1 repeated), different "
        "architectures and settings by 0.0075 (6 trials), seeds included"
    )


@pytest.mark.parametrize(
    "trials",
    [
        _repeated(0.004),
        _repeated(0.02, repeats=2),
        _repeated(0.02, repeats=0),
        # Their logs do not say whether these had the same seed.
        [replace(t, tags={**t.tags, Tag.ORIGIN.value: Origin.LOG.value}) for t in _repeated(0.02)],
    ],
    ids=["small", "few", "none", "recovered"],
)
def test_seeds_that_spread_less_or_are_not_known_are_no_finding(trials: list[TrialRun]) -> None:
    assert _texts(trials, SEED_SPREAD) == []


def test_a_base_rate_that_alone_has_skill_is_found() -> None:
    trials = _with_metrics([_trial(0), _trial(1)], prior_loss=_prior_loss(0.35))
    (text,) = _texts(trials, BASE_RATES_DIFFER)
    # The entropy of 0.35 is 0.6474, the loss of 0.25 on it 0.6722.
    assert text == (
        "25.0% of the training labels are 1 and 35.0% of the validation labels: who knows this "
        "and nothing else has a skill of 3.7%"
    )


@pytest.mark.parametrize(
    ("priors", "train_rate"),
    [
        ((_prior_loss(0.27),) * 2, "0.25"),
        # A prior of one half has one loss, whatever the labels.
        ((math.log(2),) * 2, "0.5"),
        # No labels have this loss.
        ((9.0, 9.0), "0.25"),
        ((_prior_loss(0.35), _prior_loss(0.36)), "0.25"),
        ((_prior_loss(0.35),) * 2, "1.0"),
        ((_prior_loss(0.35),) * 2, "?"),
    ],
    ids=["near", "one half", "impossible", "two spans", "one class", "unreadable"],
)
def test_base_rates_that_agree_or_cannot_be_told_are_no_finding(
    priors: tuple[float, float], train_rate: str
) -> None:
    trials = [_with_metrics([_trial(n)], prior_loss=prior)[0] for n, prior in enumerate(priors)]
    assert _texts(trials, BASE_RATES_DIFFER, params={**SPANS, "train_base_rate": train_rate}) == []


CUT = {**SPANS, "max_steps": "2"}


@pytest.mark.parametrize("validation", [{}, {"validation": "earliest"}])
def test_skill_over_other_windows_than_the_loss_is_found(validation: dict[str, str]) -> None:
    of_then = _with_metrics([_trial(0), _trial(1)], prior_loss=_prior_loss(0.35), skill=0.16)
    today = _with_metrics([_trial(2)], prior_loss=_prior_loss(0.2), skill=0.01)
    study = study_of([*of_then, *today], params={**CUT, **validation})
    (finding,) = (f for f in audit_study(study).findings if f.kind is SKILL_OF_OTHER_WINDOWS)
    assert [ref.trial_number for ref in finding.runs] == [0, 1]
    assert finding.text == (
        "in 2 trials prior_loss is that of 713 validation windows and best_val_loss that of the "
        "first 512 (max_steps 2): their skill means nothing"
    )
    # What the losses were measured on has another base rate, which nothing says.
    assert _texts(of_then, BASE_RATES_DIFFER, params={**CUT, **validation}) == []


@pytest.mark.parametrize(
    "params",
    [
        {**CUT, "validation": "spread"},
        {**CUT, "max_steps": "0"},
        {**CUT, "max_steps": "3"},  # 768 windows are more than there are
        {k: v for k, v in CUT.items() if k != "max_steps"},
        {k: v for k, v in CUT.items() if k != "validation_windows"},
    ],
    ids=["spread", "no cap", "wide cap", "unknown cap", "unknown windows"],
)
def test_skill_over_the_windows_of_the_loss_is_no_finding(params: dict[str, str]) -> None:
    trials = _with_metrics([_trial(0)], prior_loss=_prior_loss(0.35), skill=0.16)
    assert _texts(trials, SKILL_OF_OTHER_WINDOWS, params=params) == []


def test_advice_leaves_a_study_clean_and_is_told_apart() -> None:
    every = [
        _course(_trial(number, params=MIDDLE), best=3, epochs_run=13)
        for number in range(len(GRID.architectures))
    ]
    tracked = study_of(every, params=SPANS).tracked
    experiment = TrackedExperiment(name="e", studies=(tracked,), foreign_runs=0)
    audit = audit_experiment(experiment, default_planned=80)
    assert audit.is_clean
    assert summary(audit) == "e: 1 studies, 0 findings, 4 about the search itself"
    assert "→ 77% of all epochs (800 of 1,040) came after" in as_text(audit)
    (study,) = json.loads(as_json(audit))["studies"]
    assert [finding["is_advice"] for finding in study["findings"]] == [True] * 4
    assert "most epochs after the best one" in [finding["kind"] for finding in study["findings"]]

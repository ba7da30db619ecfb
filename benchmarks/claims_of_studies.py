"""How often a study's verdicts are wrong, and how often they find what is there.

Each study is small but real: its architectures and settings are drawn as the search draws them, and
its networks are trained and validated as trials are, on markets of which the truth is known. Only
storage and MLflow are left out.

Training is nearly all of the cost, so the trials of one training are validated on several markets,
or folders of them: those that taught them and others made by the same law. To each it is a study of
its own, and as likely to be wrong as any; together they share what the training came to, which the
intervals know. The other markets also tell what the chosen network is worth, which no study knows.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import torch
from benchmarks.planted_markets import RULES, garch, planted_markets, random_walk
from scipy import stats

from mlproject.analysis.claims.references import References
from mlproject.analysis.claims.verdicts import StudyClaims, Verdict, claims_of
from mlproject.data.bars import Bars
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData, build_windows
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.text.tables import markdown_lines
from mlproject.tracking.names import TrialState
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.train import train

HORIZON_DAYS = 3
BUDGET = "100k"
TRIALS = 3
EPOCHS = 3
"""Of these small studies. On one market more epochs make it worse."""
SPANS = 6
"""Validation spans of a training, of as many markets or folders of them."""
KEPT = Path("benchmarks/data/claims_of_studies.jsonl")
"""What each study came to, so that a run that was stopped goes on."""

BarsOf = Callable[[int], Sequence[Bars]]
Kept = Mapping[str, Any]
Floats = npt.NDArray[np.float64]


def _walk(seed: int) -> Sequence[Bars]:
    return [random_walk("walk", seed)]


def _garch(seed: int) -> Sequence[Bars]:
    return [garch("garch", seed)]


def _planted(seed: int) -> Sequence[Bars]:
    return planted_markets(RULES["momentum"], 8, seed).bars


KINDS: dict[str, tuple[BarsOf, float]] = {
    "random walks": (_walk, 0.18),
    "GARCH": (_garch, 0.09),
    "eight planted markets": (_planted, 0.02),
}
"""How a market of each kind is made, and how many of the repeats are trainings of it."""


@dataclass(frozen=True, kw_only=True)
class MeasuredStudy:
    """A study and what its chosen network is worth."""

    claims: StudyClaims
    truth: float | None
    """Loss of the network with the lowest loss less that of the prior, on the other spans; None
    where there are no others."""
    lowest: float
    """The same on the span that it was chosen by."""


def verdicts(repeats: int) -> Iterator[str]:
    """A row for each kind of market: the verdicts, and what is left of the luck of choosing."""
    wanted = [
        (kind, seed, (seed + 0.5) / count)
        for kind, (_, share) in KINDS.items()
        for count in [max(1, round(repeats * share))]
        for seed in range(count)
    ]
    known = _kept()
    missing = [each for each in wanted if each[:2] not in known]
    left = {kind: [each[1] for each in missing if each[0] == kind] for kind in KINDS}
    # So that a run that is stopped has some of every kind.
    for kind, seed, _ in sorted(missing, key=lambda m: left[m[0]].index(m[1]) / len(left[m[0]])):
        known[kind, seed] = _measure(kind, seed)
    rows = []
    for kind in KINDS:
        trainings = [known[key[:2]] for key in wanted if key[0] == kind]
        studies = [study for training in trainings for study in training]
        rows.append(
            [
                *(kind, f"{len(studies)}, {len(trainings)}"),
                _share(trainings, "prior", Verdict.BETTER),
                _share(trainings, "prior", Verdict.WORSE),
                _share(trainings, "baseline", Verdict.BETTER),
                *_luck(trainings),
                _holds(trainings),
            ]
        )
    heads = [
        *("markets", "studies, trainings", "better than the prior, %", "worse, %"),
        *("better than the best baseline, %", "luck of the lowest loss"),
        *("left in the adjusted loss", "its 90 % interval holds, %"),
    ]
    yield "### Studies: verdicts where the truth is known\n"
    yield from markdown_lines(heads, rows)


def run_studies(
    make: BarsOf,
    seed: int,
    *,
    spans: int = SPANS,
    trials: int = TRIALS,
    epochs: int = EPOCHS,
) -> list[MeasuredStudy]:
    """Train the trials of a study on the markets of `seed`, and validate them on `spans` spans.

    The first span is that of the markets themselves, as in a study of the program.
    """
    markets = _every_market(make, seed, spans)
    task = parse_task("threshold_1pct")
    every = build_windows(markets, horizon_days=HORIZON_DAYS, task=task)
    data = _ManySpans.of(every, spans)
    settings = StudySettings(
        experiment="claims",
        budget=parse_budget(BUDGET),
        horizon_days=HORIZON_DAYS,
        task=task,
        max_epochs=epochs,
        seed=seed,
        # What was measured before stays comparable.
        grid_version=3,
        search_space=1,
    )
    space = SearchSpace.of(settings, data.n_features)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    runs = []
    for number in range(trials):
        architecture, training = space.suggest(study.ask())
        losses: list[EpochMetrics] = []

        def keep(epoch: EpochMetrics, losses: list[EpochMetrics] = losses) -> bool:
            losses.append(epoch)
            return False

        train(architecture, data, training, keep)
        runs.append(
            TrialRun(
                trial_number=number,
                state=TrialState.COMPLETE,
                started_ms=0,
                epochs=tuple(losses),
            )
        )
    return _measured(runs, [References.of(markets, data.study(span)) for span in range(spans)])


def _every_market(make: BarsOf, seed: int, spans: int) -> Markets:
    """The markets of all spans; the name of each begins with its span."""
    seeds = [seed, *(1_000_000 + 1_000 * seed + span for span in range(1, spans))]
    bars = [
        replace(each, name=f"{span:02d} {each.name}")
        for span, of_span in enumerate(seeds)
        for each in make(of_span)
    ]
    return Markets(name="claims", source="made", each=tuple(bars))


@dataclass(frozen=True, kw_only=True, eq=False)
class _ManySpans(WindowedData):
    """Data whose training span is that of the first markets, and which validates on all.

    The blocks are those of one span after those of another.
    """

    spans: int

    @classmethod
    def of(cls, data: WindowedData, spans: int) -> "_ManySpans":
        all_fields = {each.name: getattr(data, each.name) for each in fields(data)}
        every = cls(**all_fields, spans=spans)
        train = every.train[every.span_of(every.train) == 0]
        base_rate = float(every.labels[train].double().mean())
        return replace(every, train=train, base_rate=base_rate)

    def span_of(self, ends: torch.Tensor) -> npt.NDArray[np.int64]:
        """The span of the market of each end row (windows,)."""
        return self.market_of(ends) // (len(self.markets) // self.spans)

    def study(self, span: int) -> WindowedData:
        """The data of the study that has this validation span alone."""
        validation = self.validation[self.span_of(self.validation) == span]
        alone = {each.name: getattr(self, each.name) for each in fields(WindowedData)}
        return WindowedData(**{**alone, "validation": validation})

    @cached_property
    def validation_blocks(self) -> npt.NDArray[np.int64]:
        of_span = super().validation_blocks
        return self.span_of(self.validation) * (of_span.max() + 1) + of_span


def _measured(runs: Sequence[TrialRun], references: Sequence[References]) -> list[MeasuredStudy]:
    blocks = len(references[0].weights)
    losses = [
        [_part(run, slice(span * blocks, (span + 1) * blocks)) for run in runs]
        for span in range(len(references))
    ]
    ahead = np.array(
        [
            [
                reference.loss(np.array(epoch.val_block_losses)) - reference.loss(reference.prior)
                for run in of_span
                for epoch in run.epochs
            ]
            for of_span, reference in zip(losses, references, strict=True)
        ]
    )
    chosen = ahead.argmin(axis=1)
    return [
        MeasuredStudy(
            claims=claims_of(of_span, reference),
            truth=float(np.delete(ahead[:, best], span).mean()) if len(references) > 1 else None,
            lowest=float(ahead[span, best]),
        )
        for span, (of_span, reference, best) in enumerate(
            zip(losses, references, chosen, strict=True)
        )
    ]


def _part(run: TrialRun, blocks: slice) -> TrialRun:
    """The run as a study with these blocks alone has it."""
    epochs = []
    for epoch in run.epochs:
        assert epoch.val_block_losses is not None
        epochs.append(replace(epoch, val_block_losses=epoch.val_block_losses[blocks]))
    return replace(run, epochs=tuple(epochs))


def _kept() -> dict[tuple[str, int], list[Kept]]:
    """The studies of each training that is known, by kind and seed."""
    found: dict[tuple[str, int], list[Kept]] = {}
    for line in KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else ():
        study = json.loads(line)
        if (study["trials"], study["epochs"]) == (TRIALS, EPOCHS):
            found.setdefault((study["kind"], study["seed"]), []).append(study)
    return found


def _measure(kind: str, seed: int) -> list[Kept]:
    make, _ = KINDS[kind]
    found = [
        {
            **{"kind": kind, "seed": seed, "trials": TRIALS, "epochs": EPOCHS, "span": span},
            "prior": study.claims.prior.verdict.value,
            "baseline": study.claims.baseline.verdict.value,
            "difference": study.claims.prior.difference,
            "low": study.claims.prior.low,
            "high": study.claims.prior.high,
            "p_value": study.claims.prior.p_value,
            "lowest": study.lowest,
            "truth": study.truth,
        }
        for span, study in enumerate(run_studies(make, seed))
    ]
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as kept:
        kept.write("".join(json.dumps(study) + "\n" for study in found))
    return found


def _share(trainings: Sequence[Sequence[Kept]], key: str, wanted: Verdict) -> str:
    """The share of studies in per cent with its 95 % interval.

    That of Clopper and Pearson, of as many studies as these are worth, since those of one training
    go together (Korn and Graubard, Confidence Intervals for Proportions with Small Expected Number
    of Positive Counts Estimated from Survey Data, Survey Methodology 24, 1998).
    """
    hits = [[study[key] == wanted for study in training] for training in trainings]
    alike = max(_alike(hits), _alike([[s["p_value"] for s in t] for t in trainings]))
    studies = sum(map(len, hits))
    mean_size = sum(len(of) ** 2 for of in hits) / studies
    worth = studies / (1 + (mean_size - 1) * alike)
    share = sum(map(sum, hits)) / studies
    low = stats.beta.ppf(0.025, share * worth, worth - share * worth + 1) if share else 0.0
    high = stats.beta.ppf(0.975, share * worth + 1, worth - share * worth) if share < 1 else 1.0
    return f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _alike(groups: Sequence[Sequence[float]]) -> float:
    """How alike the members of a group are: the intraclass correlation, 0 to 1."""
    several = [np.array(group, np.float64) for group in groups if len(group) > 1]
    if len(several) < 2:
        return 1.0
    size = np.mean([len(group) for group in several])
    within = np.mean([group.var(ddof=1) for group in several])
    between = np.var([group.mean() for group in several], ddof=1) - within / size
    return float(np.clip(between / (between + within), 0, 1)) if between + within > 0 else 0.0


def _holds(trainings: Sequence[Sequence[Kept]]) -> str:
    """How often the truth is within the interval of the difference, in per cent."""
    known = [study for training in trainings for study in training if study.get("truth")]
    if not known:
        return "-"
    found = [study["low"] <= study["truth"] <= study["high"] for study in known]
    return f"{100 * float(np.mean(found)):.1f}"


def _luck(trainings: Sequence[Sequence[Kept]]) -> tuple[str, str]:
    """What the lowest and the adjusted loss are below the truth, means with standard errors."""
    known = [t for t in trainings if len(t) > 1 and all(s.get("truth") is not None for s in t)]
    if len(known) < 2:
        return "-", "-"
    found = []
    for figure in ("lowest", "difference"):
        of_trainings = [np.mean([s[figure] - s["truth"] for s in t]) for t in known]
        error = np.std(of_trainings, ddof=1) / np.sqrt(len(known))
        found.append(f"{np.mean(of_trainings):+.4f} ± {error:.4f}")
    return found[0], found[1]

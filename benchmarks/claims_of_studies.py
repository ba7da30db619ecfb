"""How often a study's verdicts are wrong, and how often they find what is there.

Each study is small but real: its architectures and settings are drawn as the search draws them, and
its networks are trained and validated as trials are, on markets of which the truth is known. Only
storage and MLflow are left out.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import optuna
from benchmarks.planted_markets import RULES, garch, planted_markets, random_walk
from scipy import stats

from mlproject.analysis.claims.references import References
from mlproject.analysis.claims.verdicts import StudyClaims, Verdict, claims_of
from mlproject.data.labels import parse_task
from mlproject.data.markets import Markets
from mlproject.data.windows import build_windows
from mlproject.models.budget import parse_budget
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import TrialState
from mlproject.tracking.trial_run import TrialRun
from mlproject.training.epoch_metrics import EpochMetrics
from mlproject.training.train import train

HORIZON_DAYS = 3
BUDGET = "100k"
TRIALS = 3
EPOCHS = 3
"""Of these small studies: half a minute each. On one market more epochs make it worse."""
KEPT = Path("benchmarks/data/claims_of_studies.jsonl")
"""What each study came to, so that a run that was stopped goes on."""

MarketsOf = Callable[[int], Markets]


def _walk(seed: int) -> Markets:
    return Markets.of(random_walk("walk", seed))


def _garch(seed: int) -> Markets:
    return Markets.of(garch("garch", seed))


def _planted(seed: int) -> Markets:
    return planted_markets(RULES["momentum"], 8, seed).markets


KINDS: dict[str, tuple[MarketsOf, float]] = {
    "random walks": (_walk, 0.25),
    "GARCH": (_garch, 0.25),
    "eight planted markets": (_planted, 0.05),
}
"""How a market of each kind is made, and how many of the repeats it is given."""


def verdicts(repeats: int) -> Iterator[str]:
    """A row for each kind of market."""
    yield "| markets | studies | better than the prior | worse | better than the best baseline |"
    yield "|---|---|---|---|---|"
    for kind, (make, share) in KINDS.items():
        count = max(1, round(repeats * share))
        found = [_study(kind, make, seed) for seed in range(count)]
        prior = [each["prior"] for each in found]
        baseline = [each["baseline"] for each in found]
        yield (
            f"| {kind} | {count} | {_share(prior, Verdict.BETTER)} | "
            f"{_share(prior, Verdict.WORSE)} | {_share(baseline, Verdict.BETTER)} |"
        )


def _share(verdicts_found: Sequence[str], wanted: Verdict) -> str:
    """The share in per cent, with its 95 % interval (Clopper and Pearson, 1934)."""
    hits = sum(found == wanted for found in verdicts_found)
    interval = stats.binomtest(hits, len(verdicts_found)).proportion_ci()
    return f"{hits / len(verdicts_found):.0%} ({interval.low:.0%} to {interval.high:.0%})"


def _study(kind: str, make: MarketsOf, seed: int) -> dict[str, str]:
    key = {"kind": kind, "seed": seed, "trials": TRIALS, "epochs": EPOCHS}
    for line in KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else ():
        known = json.loads(line)
        if key.items() <= known.items():
            return dict(known)
    claims = run_study(make(seed), seed)
    found = {
        **key,
        "prior": claims.prior.verdict.value,
        "baseline": claims.baseline.verdict.value,
        "difference": claims.prior.difference,
        "p_value": claims.prior.p_value,
    }
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(found) + "\n")
    return found


def run_study(
    markets: Markets, seed: int, *, trials: int = TRIALS, epochs: int = EPOCHS
) -> StudyClaims:
    """The claims of a small study on these markets."""
    task = parse_task("threshold_1pct")
    data = build_windows(markets, horizon_days=HORIZON_DAYS, task=task)
    settings = StudySettings(
        experiment="claims",
        budget=parse_budget(BUDGET),
        horizon_days=HORIZON_DAYS,
        task=task,
        max_epochs=epochs,
        seed=seed,
    )
    space = SearchSpace.of(settings, data.n_features)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler)
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
    return claims_of(runs, References.of(markets, data))

"""What an evaluation claims on the test span, of predictors whose worth is known.

A hidden state that forgets in `memory` days says how likely a rise is. Predictors see it with
errors that forget as slowly, and are equally good where their errors are equally large. Labels look
ahead over the horizon, so that neighbours share days.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import expit, ndtr
from sklearn import config_context
from sklearn.metrics import roc_auc_score

from mlproject.analysis.baselines.baseline import LOGISTIC_REGRESSION, PRIOR, TITLES
from mlproject.analysis.claims.day_means import Interval, intervals_of_means
from mlproject.analysis.evaluation.results import TestResults, Verdict, score_test_set
from mlproject.text.tables import markdown_lines

Floats = npt.NDArray[np.float64]

DAYS = 740
"""Of the test span of the S&P 500."""
SEEDS = 3
OTHERS = tuple(name for name in TITLES if name != PRIOR)
"""The baselines that are no better than what they see; the prior sees nothing."""
HORIZONS = (3, 5, 20)
MEMORIES = (1, 10, 20, 40)
ERROR = 0.6
"""Of a predictor, in the logit; the state itself has a standard deviation of 0.7."""
_SIGNAL, _LEVEL = 0.7, -0.7


def false_verdicts(repeats: int) -> Iterator[str]:
    """Equally good predictors: how often one is said to win; how often the AUC's interval holds."""
    heads = [
        *("memory, days", "differences that are an autoregression"),
        *(f"predictors, h = {horizon}" for horizon in HORIZONS),
        *(f"AUC's interval misses, h = {horizon}" for horizon in HORIZONS),
    ]
    rows = []
    for memory in MEMORIES:
        generator = np.random.default_rng(0)
        series = _autoregressions(generator, memory, 5 * repeats)
        false = [_leaves_out_zero(intervals_of_means(each[None])[0]) for each in series]
        cells, missed = [str(memory), _percent(false)], []
        for horizon in HORIZONS:
            wins, aucs = _equal_pair(memory, horizon, repeats)
            cells.append(_percent(wins))
            missed.append(_percent(aucs))
        rows.append([*cells, *missed])
    yield "### Evaluation: false verdicts between equally good predictors, %\n"
    yield from markdown_lines(heads, rows)


def false_verdicts_of_seeds(repeats: int) -> Iterator[str]:
    """Equally good in the mean over all seeds: how often the seeds at hand are said to differ."""
    spreads = (0.5, 1.0, 2.0)
    rows = []
    for seeds in (2, 3, 5, 10):
        cells = [str(seeds)]
        for spread in spreads:
            generator = np.random.default_rng(0)
            false = []
            for days in _autoregressions(generator, 10, 2 * repeats):
                error = math.sqrt(2 * 10 / DAYS)
                of_seeds = generator.normal(0, spread * error, seeds)
                (found,) = intervals_of_means(
                    (days + of_seeds.mean())[None], repeats=(days.mean() + of_seeds)[None]
                )
                false.append(_leaves_out_zero(found))
            cells.append(_percent(false))
        rows.append(cells)
    heads = ["seeds", *(f"seeds differ by {s:g} times what days do" for s in spreads)]
    yield "### Evaluation: false verdicts where seeds differ, %\n"
    yield from markdown_lines(heads, rows)


def false_wins(repeats: int) -> Iterator[str]:
    """A network and all baselines: how often anything false is claimed over all of them."""
    heads = [
        *("memory, days", "horizon", "equal to all but the prior: the network wins"),
        *("some baseline wins", "nothing to know: the network wins over anything"),
        "the prior is not to be beaten, others are worse: the network wins over anything",
    ]
    rows = []
    few = max(1, repeats // 4)
    for memory in (1, 20, 40):
        for horizon in HORIZONS:
            generator = np.random.default_rng(0)
            equal = [_evaluation(generator, memory, horizon) for _ in range(repeats)]
            noise = [_evaluation(generator, memory, horizon, signal=0) for _ in range(few)]
            worse = [
                _evaluation(generator, memory, horizon, signal=0, error=0.1, of_others=0.6)
                for _ in range(few)
            ]
            rows.append(
                [
                    *(str(memory), str(horizon)),
                    _percent([_has(each, Verdict.NETWORK_WINS, but=PRIOR) for each in equal]),
                    _percent([_has(each, Verdict.BASELINE_WINS, but=PRIOR) for each in equal]),
                    _percent([_has(each, Verdict.NETWORK_WINS) for each in noise]),
                    _percent([_has(each, Verdict.NETWORK_WINS) for each in worse]),
                ]
            )
    yield "### Evaluation: at least one false win over all baselines, %\n"
    yield from markdown_lines(heads, rows)


def power(repeats: int) -> Iterator[str]:
    """A network that sees more than the baselines: how often it is said to win, in per cent."""
    rows = []
    for of_others in (0.6, 0.8, 1.0, 1.2):
        cells = [f"{of_others:g}"]
        for memory in (1, 20, 40):
            generator = np.random.default_rng(0)
            found = [
                _evaluation(generator, memory, 3, error=0.1, of_others=of_others)
                for _ in range(max(1, repeats // 4))
            ]
            gap = np.mean([each.differences[LOGISTIC_REGRESSION].mean for each in found])
            cells.append(f"{_percent([each.network_wins for each in found])} ({gap:+.4f})")
        rows.append(cells)
    heads = ["error of the baselines", *(f"memory {memory} days" for memory in (1, 20, 40))]
    yield "### Evaluation: a better network wins, % (mean difference of the loss)\n"
    yield from markdown_lines(heads, rows)


def _equal_pair(memory: float, horizon: int, repeats: int) -> tuple[list[bool], list[bool]]:
    """Whether a verdict was false, and whether the AUC's interval missed, of each repeat."""
    generator = np.random.default_rng(0)
    auc = _true_auc(memory, horizon)
    wins, missed = [], []
    for _ in range(repeats):
        labels, (ours, theirs) = _market(generator, memory, horizon, (ERROR, ERROR))
        found = _scored(
            labels=labels,
            network=ours[None],
            baselines={LOGISTIC_REGRESSION: theirs},
            horizon=horizon,
        )
        wins.append(_leaves_out_zero(found.differences[LOGISTIC_REGRESSION]))
        assert found.network_auc is not None
        missed.append(not found.network_auc.low <= auc <= found.network_auc.high)
    return wins, missed


def _true_auc(memory: float, horizon: int) -> float:
    """What the AUC of a predictor is over many days."""
    generator = np.random.default_rng(1)
    spans = [_market(generator, memory, horizon, (ERROR,)) for _ in range(400)]
    labels = np.concatenate([each for each, _ in spans])
    said = np.concatenate([each[0] for _, each in spans])
    return float(roc_auc_score(labels, said))


def _evaluation(
    generator: np.random.Generator,
    memory: float,
    horizon: int,
    *,
    signal: float = _SIGNAL,
    error: float = ERROR,
    of_others: float = ERROR,
) -> TestResults:
    """A network of three seeds, the prior, and the other baselines, all equally good."""
    errors = (*[error] * SEEDS, *[of_others] * len(OTHERS))
    labels, said = _market(generator, memory, horizon, errors, signal=signal, shared=SEEDS)
    prior = float(expit(_LEVEL)) if signal == 0 else _base_rate()
    return _scored(
        labels=labels,
        network=np.stack(said[:SEEDS]),
        baselines={
            PRIOR: np.full(DAYS, prior),
            **dict(zip(OTHERS, said[SEEDS:], strict=True)),
        },
        horizon=horizon,
    )


def _scored(
    *, labels: Floats, network: Floats, baselines: Mapping[str, Floats], horizon: int
) -> TestResults:
    """What an evaluation makes of these; scikit-learn's checks would take half of the time."""
    with config_context(assume_finite=True, skip_parameter_validation=True):
        return score_test_set(
            dates=np.datetime64("2016-01-01") + np.arange(DAYS),
            labels=labels,
            network=network,
            baselines=baselines,
            horizon_days=horizon,
        )


def _market(
    generator: np.random.Generator,
    memory: float,
    horizon: int,
    errors: tuple[float, ...],
    *,
    signal: float = _SIGNAL,
    shared: int = 0,
) -> tuple[Floats, list[Floats]]:
    """The labels of a test span, and what predictors with these errors say of it.

    The first `shared` predictors have most of their error in common, as seeds of a network do.
    """
    state, common, *own = _autoregressions(generator, memory, 2 + len(errors))
    logit = _LEVEL + signal * state
    course = np.cumsum(generator.normal(size=DAYS + horizon))
    ahead = (course[horizon:] - course[:-horizon]) / math.sqrt(horizon)
    labels = (ndtr(ahead) < expit(logit)).astype(np.float64)
    said = []
    for place, (error, alone) in enumerate(zip(errors, own, strict=True)):
        noise = math.sqrt(0.7) * common + math.sqrt(0.3) * alone if place < shared else alone
        said.append(expit(logit + error * noise))
    return labels, said


def _base_rate() -> float:
    """The share of rises over many days."""
    states = np.random.default_rng(2).normal(size=100_000)
    return float(expit(_LEVEL + _SIGNAL * states).mean())


def _autoregressions(generator: np.random.Generator, memory: float, count: int) -> Floats:
    """Series of variance 1 that forget in `memory` days, shape (count, days)."""
    keeps, before = math.exp(-1 / memory), int(10 * memory) + 10
    shocks = generator.normal(0, math.sqrt(1 - keeps**2), (count, DAYS + before))
    return np.asarray(lfilter([1], [1, -keeps], shocks, axis=1)[:, before:], dtype=np.float64)


def _leaves_out_zero(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0


def _has(results: TestResults, verdict: Verdict, *, but: str = "") -> bool:
    """Whether a verdict is given against some baseline, but for one."""
    return any(results.verdict(name) is verdict for name in results.baselines if name != but)


def _percent(found: list[bool]) -> str:
    return f"{100 * float(np.mean(found)):.1f}"

"""The words and tables of an evaluation: for the terminal, its run and the registered model."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlproject.analysis.baselines.baseline import PRIOR, TITLES
from mlproject.analysis.claims.day_means import CONFIDENCE, Interval
from mlproject.analysis.evaluation.context import EvaluationContext
from mlproject.analysis.evaluation.results import TestResults, Verdict
from mlproject.text.phrases import counted
from mlproject.text.tables import aligned_lines, markdown_lines
from mlproject.tracking.names import TestMetric

NETWORK = "network"
_HEADS = {
    TestMetric.LOSS: "log loss",
    TestMetric.AUC: "AUC",
    TestMetric.AVERAGE_PRECISION: "average precision",
    TestMetric.BRIER: "Brier score",
    TestMetric.ACCURACY: "accuracy",
}
_AUC_LIMITS = f"AUC, {CONFIDENCE:.0%} interval"
_FEW_BLOCKS = 8


def conclusion(results: TestResults) -> str:
    """What may be claimed of the network, in one sentence."""
    best = results.best_baseline
    against = f"the best baseline, {TITLES[best]}"
    if results.network_wins:
        return f"The network beats {against}{', and the prior' * (best != PRIOR)}."
    if results.verdict(best) is Verdict.BASELINE_WINS:
        return f"The network loses to {against}."
    if results.differences[best].high < 0:
        return f"The network is ahead of {against}, but does not beat all of them: no win."
    return f"The network cannot be told from {against}: no win."


def verdicts(results: TestResults) -> list[str]:
    """How the network stands against each baseline, those first that it does not beat."""
    order = [Verdict.BASELINE_WINS, Verdict.BASELINE_AHEAD, Verdict.NETWORK_AHEAD]
    order.append(Verdict.NETWORK_WINS)
    names = sorted(results.baselines, key=lambda name: order.index(results.verdict(name)))
    return [_sentence(name, results) for name in names]


def _sentence(name: str, results: TestResults) -> str:
    verdict, difference = results.verdict(name), results.differences[name]
    title = TITLES[name]
    doubt = (
        "but that is no win, for which every baseline has to be beaten"
        if difference.high < 0
        else "but that may be luck"
    )
    said = {
        Verdict.NETWORK_WINS: f"The network beats {title}",
        Verdict.NETWORK_AHEAD: f"The network is ahead of {title}, {doubt}",
        Verdict.BASELINE_AHEAD: f"{title.capitalize()} is ahead of the network, "
        "but that may be luck",
        Verdict.BASELINE_WINS: f"{title.capitalize()} wins against the network",
    }[verdict]
    ours = results.mean(TestMetric.LOSS)
    theirs = results.baseline_scores[name][TestMetric.LOSS]
    return (
        f"{said}: log loss {ours:.4f} against {theirs:.4f} (difference {difference.mean:+.4f}, "
        f"{CONFIDENCE:.0%} interval {difference.low:+.4f} to {difference.high:+.4f})."
    )


def as_text(context: EvaluationContext, results: TestResults) -> str:
    """The evaluation for the terminal."""
    rows = [["", *_HEADS.values(), _AUC_LIMITS], *_rows(results)]
    return "\n".join(
        [
            _headline(context, results),
            "",
            *aligned_lines(rows),
            "",
            conclusion(results),
            *verdicts(results),
        ]
    )


def as_note(context: EvaluationContext, results: TestResults) -> str:
    """The evaluation in Markdown, for its run and the registered model."""
    return "\n".join(
        [
            _headline(context, results),
            "",
            conclusion(results),
            "",
            *(f"- {sentence}" for sentence in verdicts(results)),
            "",
            *markdown_lines(["", *_HEADS.values(), _AUC_LIMITS], _rows(results)),
            "",
            *(f"{remark}\n" for remark in _remarks(context, results)),
        ]
    )


def score_table(results: TestResults) -> pd.DataFrame:
    """The scores: a row per network, by the number of its seed, and per baseline."""
    rows: list[dict[str, object]] = [
        {"predictor": NETWORK, "seed": number, **_plain(scores)}
        for number, scores in enumerate(results.network_scores, 1)
    ]
    rows += [
        {"predictor": name, **_plain(scores)} for name, scores in results.baseline_scores.items()
    ]
    return pd.DataFrame(rows)


def prediction_table(results: TestResults) -> pd.DataFrame:
    """The predictions: a row per test window with its last day, its label and all probabilities.

    Where there are several markets it says which one the window is of.
    """
    columns: dict[str, object] = {
        "date": results.dates.astype("datetime64[D]").astype(str),
        "label": results.labels.astype(int),
    }
    if results.markets is not None:
        columns = {"market": results.markets} | columns
    columns |= {f"{NETWORK}_{number}": each for number, each in enumerate(results.network, 1)}
    return pd.DataFrame(columns | dict(results.baselines))


def _headline(context: EvaluationContext, results: TestResults) -> str:
    chosen, a = context.chosen, context.chosen.architecture
    return (
        f"{chosen.study_name}, {'recovered ' * chosen.is_recovered}trial {chosen.number} "
        f"(d_model {a.d_model}, n_layers {a.n_layers}, n_heads {a.n_heads}, d_ff {a.d_ff}), "
        f"trained {counted(len(context.seeds), 'time')} on training and validation for "
        f"{counted(context.epochs, 'epoch')}; "
        f"tested on the {len(results.labels)} windows{_of_markets(results)} that end from "
        f"{results.dates.min()} to {results.dates.max()}, {results.labels.mean():.1%} of them "
        "before a rise."
    )


def _of_markets(results: TestResults) -> str:
    if results.markets is None:
        return ""
    return f" of {counted(len(np.unique(results.markets)), 'market')}"


def _rows(results: TestResults) -> list[list[str]]:
    """The table: the AUC has its interval beside it."""
    network = [_cell(results, metric) for metric in _HEADS]
    rows = [[f"{NETWORK} (mean ± spread over seeds)", *network, _limits(results.network_auc)]]
    for name, scores in results.baseline_scores.items():
        figures = [_figure(scores.get(metric)) for metric in _HEADS]
        rows.append([TITLES[name], *figures, _limits(results.baseline_aucs.get(name))])
    return rows


def _cell(results: TestResults, metric: TestMetric) -> str:
    mean = results.mean(metric)
    return "-" if mean is None else f"{mean:.4f} ± {results.spread(metric):.4f}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _limits(interval: Interval | None) -> str:
    if interval is None or not math.isfinite(interval.high - interval.low):
        return "-"
    return f"{max(0.0, interval.low):.3f} to {min(1.0, interval.high):.3f}"


def _remarks(context: EvaluationContext, results: TestResults) -> list[str]:
    chosen = context.chosen
    remarks = list(chosen.remarks)
    if chosen.best_epoch is None:
        remarks.append(
            f"No run tells the trial's losses per epoch; repeated on training and validation, it "
            f"was best in epoch {context.epochs}."
        )
    settings = "; ".join(
        f"{TITLES[name]}, {text}" if text else TITLES[name]
        for name, text in context.baseline_settings.items()
    )
    remarks.append(
        "Baselines, fitted on the days that the networks were trained on, what settings they have "
        f"chosen on validation before: {settings}."
    )
    few = ": too few for more than a hint" if results.blocks < _FEW_BLOCKS else ""
    seeds = (
        "They speak of other days like these and of other seeds"
        if len(results.network) > 1
        else "They speak of other days like these, and of this one seed alone"
    )
    remarks.append(
        f"The intervals know that neighbouring days go together; the test span is "
        f"{results.blocks:.1f} spans of window and horizon long{few}. {seeds}. A win takes "
        "all baselines, so that nothing is added for their number; that one of them wins takes an "
        "interval that is widened for it."
    )
    if context.earlier_evaluations:
        times = counted(context.earlier_evaluations, "time")
        remarks.append(
            f"This study has been evaluated {times} before. A choice made after a look at the test "
            "span makes these figures too good."
        )
    return remarks


def _plain(scores: Mapping[TestMetric, float]) -> dict[str, float]:
    return {str(metric): value for metric, value in scores.items()}

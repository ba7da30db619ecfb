"""The words and tables of an evaluation: for the terminal, its run and the registered model."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mlproject.analysis.evaluation.baselines import TITLES
from mlproject.analysis.evaluation.context import EvaluationContext
from mlproject.analysis.evaluation.results import TestResults, Verdict
from mlproject.analysis.evaluation.scores import CONFIDENCE
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
_FEW_BLOCKS = 8


def verdicts(results: TestResults) -> list[str]:
    """How the network stands against each baseline, those first that it does not beat."""
    order = [Verdict.BASELINE_WINS, Verdict.BASELINE_AHEAD, Verdict.NETWORK_AHEAD]
    order.append(Verdict.NETWORK_WINS)
    names = sorted(results.baselines, key=lambda name: order.index(results.verdict(name)))
    return [_sentence(name, results) for name in names]


def _sentence(name: str, results: TestResults) -> str:
    verdict, difference = results.verdict(name), results.differences[name]
    title = TITLES[name]
    said = {
        Verdict.NETWORK_WINS: f"The network beats {title}",
        Verdict.NETWORK_AHEAD: f"The network is ahead of {title}, but that may be luck",
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
    rows = [["", *_HEADS.values()], *_rows(results)]
    return "\n".join(
        [_headline(context, results), "", *aligned_lines(rows), "", *verdicts(results)]
    )


def as_note(context: EvaluationContext, results: TestResults) -> str:
    """The evaluation in Markdown, for its run and the registered model."""
    return "\n".join(
        [
            _headline(context, results),
            "",
            *(f"- {sentence}" for sentence in verdicts(results)),
            "",
            *markdown_lines(["", *_HEADS.values()], _rows(results)),
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
        f"{results.dates[0]} to {results.dates[-1]}, {results.labels.mean():.1%} of them before a "
        "rise."
    )


def _of_markets(results: TestResults) -> str:
    if results.markets is None:
        return ""
    return f" of {counted(len(np.unique(results.markets)), 'market')}"


def _rows(results: TestResults) -> list[list[str]]:
    rows = [[f"{NETWORK} (mean ± spread over seeds)", *(_cell(results, m) for m in _HEADS)]]
    for name, scores in results.baseline_scores.items():
        rows.append([TITLES[name], *(_figure(scores.get(metric)) for metric in _HEADS)])
    return rows


def _cell(results: TestResults, metric: TestMetric) -> str:
    mean = results.mean(metric)
    return "-" if mean is None else f"{mean:.4f} ± {results.spread(metric):.4f}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _remarks(context: EvaluationContext, results: TestResults) -> list[str]:
    chosen = context.chosen
    remarks = list(chosen.remarks)
    if chosen.best_epoch is None:
        remarks.append(
            f"No run tells the trial's losses per epoch; repeated on training and validation, it "
            f"was best in epoch {context.epochs}."
        )
    settings = ", ".join(
        f"{TITLES[name]} {text}" for name, text in context.baseline_settings.items()
    )
    remarks.append(
        "Baselines, their settings chosen on validation, then fitted on the same windows: "
        f"{settings}."
    )
    blocks = next(iter(results.differences.values())).blocks
    few = ": too few for more than a hint" if blocks < _FEW_BLOCKS else ""
    remarks.append(
        f"The intervals are from blocks of days drawn anew, since neighbouring windows overlap; "
        f"the test span is {blocks:.1f} blocks long{few}. They speak of other days like these, not "
        "of other seeds, which the spread is about."
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

"""The params, metrics and files of an evaluation's run; they are written to MLflow elsewhere."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mlproject.analysis.claims.day_means import Interval
from mlproject.analysis.dimensions import DIMENSIONS
from mlproject.analysis.evaluation.context import EvaluationContext
from mlproject.analysis.evaluation.market_scores import market_score_table
from mlproject.analysis.evaluation.note import as_note, prediction_table, score_table
from mlproject.analysis.evaluation.pictures import draw_pictures
from mlproject.analysis.evaluation.results import TestResults
from mlproject.data.markets import Markets
from mlproject.models.arch_grid import Architecture
from mlproject.text.escaping import for_spreadsheet
from mlproject.tracking.names import (
    HYPERPARAMETER_PARAMS,
    Param,
    TestMetric,
    lead_over,
    of_baseline,
    spread_of,
)
from mlproject.training.plan import TrainingPlan
from mlproject.training.settings import TrainingSettings

_DOTS_PER_INCH = 110


def run_params(
    context: EvaluationContext, plan: TrainingPlan, markets: Markets
) -> dict[str, object]:
    """The params of the run: which trial was trained again, and how."""
    chosen = context.chosen
    return {
        "study": chosen.study_name,
        "trial_number": chosen.number,
        **_values(chosen.architecture, (*DIMENSIONS, Param.PARAM_COUNT)),
        **_values(chosen.settings, HYPERPARAMETER_PARAMS),
        "label_price": chosen.label_price,
        "optimiser": plan.optimiser.value,
        "precision": plan.precision.value,
        "training_seeds": " ".join(map(str, context.seeds)),
        "data": markets.name,
        "data_digest": markets.digest,
    }


def run_metrics(context: EvaluationContext, results: TestResults) -> dict[str, float]:
    """The metrics of the run: scores of network and baselines, and the differences between them."""
    metrics = {"trained_epochs": float(context.epochs)}
    for metric in TestMetric:
        mean, spread = results.mean(metric), results.spread(metric)
        if mean is not None and spread is not None:
            metrics |= {str(metric): mean, spread_of(metric): spread}
    if results.network_auc is not None:
        metrics |= _limits(TestMetric.AUC, results.network_auc)
    for name, scores in results.baseline_scores.items():
        metrics |= {of_baseline(metric, name): value for metric, value in scores.items()}
        lead = results.differences[name]
        metrics |= {lead_over(name): lead.mean, **_limits(lead_over(name), lead)}
        if name in results.baseline_aucs:
            auc = of_baseline(TestMetric.AUC, name)
            metrics |= _limits(auc, results.baseline_aucs[name])
    return metrics


def _limits(name: str, interval: Interval) -> dict[str, float]:
    """The limits of an interval, under the name of its metric; none where it has none."""
    if not math.isfinite(interval.high - interval.low):
        return {}
    return {f"{name}.low": interval.low, f"{name}.high": interval.high}


def write_results(
    context: EvaluationContext, results: TestResults, losses: pd.DataFrame, folder: Path
) -> None:
    """Write tables, pictures and the note into a folder that is made for them.

    `losses` are the training losses, a column per seed and a row per epoch.
    """
    (folder / "figures").mkdir(parents=True)
    (folder / "evaluation.md").write_text(as_note(context, results), encoding="utf-8")
    score_table(results).to_csv(folder / "scores.csv", index=False)
    for_spreadsheet(prediction_table(results)).to_csv(folder / "predictions.csv", index=False)
    if results.markets is not None:
        of_markets = for_spreadsheet(market_score_table(results))
        of_markets.to_csv(folder / "scores_by_market.csv", index=False)
    losses.to_csv(folder / "train_losses.csv")
    for name, figure in draw_pictures(results):
        figure.savefig(folder / "figures" / f"{name}.png", dpi=_DOTS_PER_INCH)


def _values(
    settings: Architecture | TrainingSettings, params: Iterable[Param]
) -> dict[str, object]:
    return {param.value: getattr(settings, param) for param in params}

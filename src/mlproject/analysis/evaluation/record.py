"""What an evaluation's run keeps: params, metrics and files."""

from pathlib import Path

import pandas as pd

from mlproject.analysis.evaluation.note import (
    Story,
    as_note,
    prediction_table,
    score_table,
)
from mlproject.analysis.evaluation.pictures import draw_pictures
from mlproject.analysis.evaluation.results import TestResults
from mlproject.data.bars import Bars
from mlproject.tracking.names import TestMetric, lead_over, of_baseline, spread_of
from mlproject.training.plan import TrainingPlan

_DOTS_PER_INCH = 110
_ARCHITECTURE = ("d_model", "n_layers", "n_heads", "d_ff", "param_count")
_SETTINGS = ("learning_rate", "epochs", "batch_size", "weight_decay", "warmup_steps", "dropout")


def run_params(story: Story, plan: TrainingPlan, bars: Bars) -> dict[str, object]:
    """Which trial was trained again, and how."""
    chosen = story.chosen
    return {
        "study": chosen.study_name,
        "trial_number": chosen.number,
        **{name: getattr(chosen.architecture, name) for name in _ARCHITECTURE},
        **{name: getattr(chosen.settings, name) for name in _SETTINGS},
        "label_price": chosen.label_price,
        "optimiser": plan.optimiser.value,
        "precision": plan.precision.value,
        "training_seeds": " ".join(map(str, story.seeds)),
        "data": bars.name,
        "data_digest": bars.digest,
    }


def run_metrics(story: Story, results: TestResults) -> dict[str, float]:
    """Scores of the network and of the baselines, and the differences between them."""
    metrics = {"trained_epochs": float(story.epochs)}
    for metric in TestMetric:
        mean, spread = results.mean(metric), results.spread(metric)
        if mean is not None and spread is not None:
            metrics |= {str(metric): mean, spread_of(metric): spread}
    for name, scores in results.baseline_scores.items():
        metrics |= {of_baseline(metric, name): value for metric, value in scores.items()}
        lead = results.differences[name]
        metrics |= {
            lead_over(name): lead.mean,
            f"{lead_over(name)}.low": lead.low,
            f"{lead_over(name)}.high": lead.high,
        }
    return metrics


def write_results(story: Story, results: TestResults, losses: pd.DataFrame, folder: Path) -> None:
    """Write tables, pictures and the note into a folder that is made for them.

    `losses` are the training losses, a column per seed and a row per epoch.
    """
    (folder / "figures").mkdir(parents=True)
    (folder / "evaluation.md").write_text(as_note(story, results), encoding="utf-8")
    score_table(results).to_csv(folder / "scores.csv", index=False)
    prediction_table(results).to_csv(folder / "predictions.csv", index=False)
    losses.to_csv(folder / "train_losses.csv")
    for name, figure in draw_pictures(results):
        figure.savefig(folder / "figures" / f"{name}.png", dpi=_DOTS_PER_INCH)

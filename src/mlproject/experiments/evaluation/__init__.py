"""The final evaluation of a study: its best architecture on days that nothing was chosen by.

study → best trial → trained anew per seed → test span opened once → scores, pictures, model
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mlproject.data.bars import Bars
from mlproject.data.features import FEATURES
from mlproject.data.windows import WindowedData, build_windows
from mlproject.experiments.evaluation.baselines import Baseline, fit_baselines, flat_windows
from mlproject.experiments.evaluation.chosen import ChosenTrial, choose_trial
from mlproject.experiments.evaluation.final_models import (
    Report,
    final_seeds,
    find_best_epoch,
    train_final_models,
)
from mlproject.experiments.evaluation.note import (
    Story,
    as_note,
    as_text,
    prediction_table,
    score_table,
)
from mlproject.experiments.evaluation.pictures import draw_pictures
from mlproject.experiments.evaluation.results import TestResults, judge
from mlproject.experiments.evaluation.servable import servable_model
from mlproject.experiments.find_study import find_study
from mlproject.experiments.settings import StudySettings
from mlproject.serving.model_folder import TrainedModel, load_model, save_model
from mlproject.tracking.analysis_run import ExperimentView
from mlproject.tracking.evaluation_run import (
    count_evaluations,
    evaluation_run,
    keep_results,
)
from mlproject.tracking.names import TestMetric, lead_over, of_baseline, spread_of
from mlproject.tracking.registered_model import register_model
from mlproject.tracking.tracked_studies import read_studies, validation_losses
from mlproject.training.loop import predict
from mlproject.training.memory import Workload, plan_memory
from mlproject.training.plan import TrainingPlan

_DOTS_PER_INCH = 110


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What came of an evaluation."""

    text: str
    run_id: str
    model_name: str
    model_version: str


def evaluate_study(
    view: ExperimentView,
    settings: StudySettings,
    bars: Bars,
    *,
    seeds: int,
    device: torch.device,
    report: Report,
) -> Evaluated:
    """Evaluate the study that `settings` name; the bars must have passed `check_bars`.

    Everything that can be wrong with the input is found before anything is written.

    Raises:
        UserError: one of its kinds: no such study, no trial to train again, other bars than the
            study's, too little memory, a training that diverged, or an MLflow that went away.
    """
    study = find_study(read_studies(view), settings.study_name, to="evaluate")
    chosen = choose_trial(study, settings, bars, partial(validation_losses, view))
    settings = replace(settings, label_price=chosen.label_price)
    plan = _plan(chosen, device)
    # Neither holds the rows of the test span.
    search = _windows(bars, settings, final=False, with_test=False)
    final = _windows(bars, settings, final=True, with_test=False)
    story = Story(
        chosen=chosen,
        epochs=chosen.best_epoch or 0,
        seeds=final_seeds(_study_seed(study.params), seeds),
        baseline_settings={},
        earlier_evaluations=count_evaluations(view, chosen.study_name),
    )
    params = _params(story, plan, bars)
    with (
        evaluation_run(view, chosen.study_name, chosen.run_id, params, bars) as run_id,
        tempfile.TemporaryDirectory() as folder,
    ):
        if chosen.best_epoch is None:
            report(f"trial {chosen.number}: repeated to find its best epoch, which no run tells")
            epochs = find_best_epoch(chosen, search.to(device), plan)
            story = replace(story, epochs=epochs)
        models, results_folder = Path(folder) / "models", Path(folder) / "results"
        losses = _train(story, settings, final, plan, device, models, report)
        baselines = list(fit_baselines(search, final))
        story = replace(story, baseline_settings={b.name: b.settings for b in baselines})
        results = _test(story, settings, bars, models, baselines, device)
        _write(story, results, losses, results_folder)
        note = as_note(story, results)
        metrics = {**_metrics(results), "best_epoch": float(story.epochs)}
        keep_results(view, run_id, metrics=metrics, folder=str(results_folder), note=note)
        version = register_model(
            view,
            run_id,
            servable_model(_folder_of(models, 1), _example(bars, final)),
            name=chosen.study_name,
            description=note,
            tags={"evaluation_run": run_id},
        )
    return Evaluated(
        text=as_text(story, results),
        run_id=run_id,
        model_name=chosen.study_name,
        model_version=version,
    )


def _plan(chosen: ChosenTrial, device: torch.device) -> TrainingPlan:
    """The study's own plan where it is known, else what memory allows."""
    found = plan_memory(
        [chosen.architecture],
        Workload(device=device, n_features=len(FEATURES), batch_size=chosen.settings.batch_size),
        optimiser=chosen.optimiser,
        precision=chosen.precision,
    )
    return found.training


def _windows(bars: Bars, settings: StudySettings, *, final: bool, with_test: bool) -> WindowedData:
    return build_windows(
        bars,
        horizon_days=settings.horizon_days,
        task=settings.task,
        label_price=settings.label_price,
        final=final,
        with_test=with_test,
    )


def _train(
    story: Story,
    settings: StudySettings,
    final: WindowedData,
    plan: TrainingPlan,
    device: torch.device,
    models: Path,
    report: Report,
) -> pd.DataFrame:
    """Train and save a network per seed; their losses per epoch."""
    trained = train_final_models(
        story.chosen,
        final.to(device),
        plan,
        epochs=story.epochs,
        seeds=list(story.seeds),
        report=report,
    )
    losses = {}
    for place, model in enumerate(trained, 1):
        save_model(
            TrainedModel(
                network=model.network,
                architecture=story.chosen.architecture,
                feature_names=final.feature_names,
                scaling_mean=final.scaling_mean,
                scaling_std=final.scaling_std,
                task=settings.task.name,
                horizon_days=settings.horizon_days,
                label_price=settings.label_price,
                trained_until=str(final.dates[final.train[-1]]),
            ),
            _folder_of(models, place),
        )
        losses[f"seed_{place}"] = model.train_losses
    return pd.DataFrame(losses, index=pd.RangeIndex(1, story.epochs + 1, name="epoch"))


def _test(
    story: Story,
    settings: StudySettings,
    bars: Bars,
    models: Path,
    baselines: list[Baseline],
    device: torch.device,
) -> TestResults:
    """Open the test span, the one time, when all that is to be compared is trained and fitted."""
    data = _windows(bars, settings, final=True, with_test=True)
    flat = flat_windows(data, data.test)
    probabilities = {baseline.name: baseline.predict(flat) for baseline in baselines}
    return judge(
        dates=data.dates[data.test.numpy()],
        labels=data.labels[data.test].numpy().astype(np.float64),
        network=np.stack(list(_network_probabilities(story, data.to(device), models))),
        baselines=probabilities,
        horizon_days=settings.horizon_days,
    )


def _network_probabilities(
    story: Story, data: WindowedData, models: Path
) -> "Iterator[np.ndarray[Any, np.dtype[np.float64]]]":
    for place in range(1, len(story.seeds) + 1):
        network = load_model(_folder_of(models, place)).network.to(data.features.device)
        yield torch.sigmoid(predict(network, data, data.test).double()).cpu().numpy()


def _folder_of(models: Path, place: int) -> Path:
    return models / f"seed_{place}"


def _write(story: Story, results: TestResults, losses: pd.DataFrame, folder: Path) -> None:
    folder.mkdir()
    (folder / "evaluation.md").write_text(as_note(story, results), encoding="utf-8")
    score_table(results).to_csv(folder / "scores.csv", index=False)
    prediction_table(results).to_csv(folder / "predictions.csv", index=False)
    losses.to_csv(folder / "train_losses.csv")
    (folder / "figures").mkdir()
    for name, figure in draw_pictures(results):
        figure.savefig(folder / "figures" / f"{name}.png", dpi=_DOTS_PER_INCH)


def _params(story: Story, plan: TrainingPlan, bars: Bars) -> dict[str, object]:
    chosen, a, s = story.chosen, story.chosen.architecture, story.chosen.settings
    return {
        "study": chosen.study_name,
        "trial_number": chosen.number,
        **{name: getattr(a, name) for name in ("d_model", "n_layers", "n_heads", "d_ff")},
        "param_count": a.param_count,
        **{name: getattr(s, name) for name in ("learning_rate", "epochs", "batch_size")},
        **{name: getattr(s, name) for name in ("weight_decay", "warmup_steps", "dropout")},
        "label_price": chosen.label_price,
        "optimiser": plan.optimiser.value,
        "precision": plan.precision.value,
        "training_seeds": " ".join(map(str, story.seeds)),
        "data": bars.name,
        "data_digest": bars.digest,
    }


def _metrics(results: TestResults) -> dict[str, float]:
    metrics: dict[str, float] = {}
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


def _study_seed(params: Mapping[str, str]) -> int:
    text = params.get("seed", "0")
    return int(text) if text.isdecimal() else 0


def _example(bars: Bars, final: WindowedData) -> pd.DataFrame:
    """The last bars before the test span."""
    return bars.frame.head(len(final.dates))

"""The steps of an evaluation in their order, from the study to the registered model."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from mlproject.analysis.baselines.baseline import Baseline
from mlproject.analysis.evaluation.baselines import fit_baselines
from mlproject.analysis.evaluation.chosen import ChosenTrial, choose_trial
from mlproject.analysis.evaluation.context import EvaluationContext
from mlproject.analysis.evaluation.final_models import (
    Progress,
    final_seeds,
    find_best_epoch,
    train_final_models,
)
from mlproject.analysis.evaluation.note import as_note, as_text
from mlproject.analysis.evaluation.record import run_metrics, run_params, write_results
from mlproject.analysis.evaluation.results import TestResults, score_test_set
from mlproject.analysis.evaluation.servable import servable_model
from mlproject.analysis.find_study import find_study
from mlproject.data.bars import Bars
from mlproject.data.load_markets import checked_markets
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData, build_windows
from mlproject.search.study_settings import StudySettings
from mlproject.search.tracked_settings import settings_as_tracked
from mlproject.serving.model_folder import TrainedModel, load_model, save_model
from mlproject.tracking.evaluation_run import (
    count_evaluations,
    evaluation_run,
    log_results,
)
from mlproject.tracking.registered_model import register_model
from mlproject.tracking.store import TrackingStore, connect_to_read
from mlproject.tracking.tracked_studies import read_studies, validation_losses
from mlproject.training.device import select_device
from mlproject.training.memory_plan import plan_memory
from mlproject.training.plan import TrainingPlan
from mlproject.training.step import predict
from mlproject.training.workload import Workload

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What came of an evaluation, and where it is kept."""

    text: str
    """The results, for the terminal."""
    run_id: str
    model_name: str
    model_version: str


def evaluate(
    settings: StudySettings,
    *,
    data: Markets | Bars | str = "sp500",
    seeds: int = 3,
    device: str = "auto",
    tracking_uri: str | None = None,
    progress: Progress = _logger.info,
) -> Evaluated:
    """Test the architecture that a study recommends, once, on days that nothing was chosen by.

    It is trained on training and validation with several seeds, compared with simple baselines on
    the same windows, and registered in MLflow. Everything that can be wrong with the input is found
    before anything is written.

    Args:
        settings: those that name the study: experiment, budget, horizon and task.
        data: the markets or bars of the study, or where they come from, see `load_markets`.
        seeds: how many times the architecture is trained.
        device: one of ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        tracking_uri: MLflow's store; by default that of MLFLOW_TRACKING_URI, else ``mlflow.db`` in
            the working directory.
        progress: is given a line for each network that is trained.

    Raises:
        UserError: one of its kinds: no such study, no trial to train again, other bars than the
            study's, too little memory, a training that diverged, or an MLflow that went away.
    """
    target = select_device(device)
    store = connect_to_read(settings.experiment, tracking_uri)
    settings = settings_as_tracked(settings, store)
    return _evaluate_in(
        store, settings, checked_markets(data), seeds=seeds, device=target, progress=progress
    )


def _evaluate_in(
    store: TrackingStore,
    settings: StudySettings,
    markets: Markets,
    *,
    seeds: int,
    device: torch.device,
    progress: Progress,
) -> Evaluated:
    """Evaluate the study of a store; the markets have passed `checked_markets`."""
    study = find_study(read_studies(store), settings.study_name, to="evaluate")
    chosen = choose_trial(study, settings, markets, partial(validation_losses, store))
    plan = _plan(chosen, len(markets.feature_names), device)
    windows = partial(
        build_windows,
        markets,
        horizon_days=settings.horizon_days,
        task=settings.task,
        label_price=chosen.label_price,
    )
    # Neither holds a row of the test span.
    search = windows(with_test=False)
    final = windows(with_test=False, final=True)
    context = EvaluationContext(
        chosen=chosen,
        epochs=chosen.best_epoch or 0,
        seeds=final_seeds(chosen.study_seed, seeds),
        baseline_settings={},
        earlier_evaluations=count_evaluations(store, chosen.study_name),
    )
    params = run_params(context, plan, markets)
    with (
        evaluation_run(store, chosen.study_name, chosen.run_id, params, markets) as run_id,
        tempfile.TemporaryDirectory() as temporary,
    ):
        if chosen.best_epoch is None:
            progress(f"trial {chosen.number}: repeated to find its best epoch, which no run tells")
            context = replace(context, epochs=find_best_epoch(chosen, search.to(device), plan))
        folders = [Path(temporary) / f"seed_{number}" for number in range(1, seeds + 1)]
        losses = _train(
            context,
            final,
            settings=settings,
            plan=plan,
            folders=folders,
            device=device,
            progress=progress,
        )
        baselines = list(fit_baselines(markets, search, final))
        context = replace(
            context, baseline_settings={each.name: each.settings for each in baselines}
        )
        # The one look at the test span, when all that is compared is trained and fitted.
        test = windows(with_test=True, final=True)
        results = _test(markets, test, folders, baselines, device)
        kept = Path(temporary) / "results"
        write_results(context, results, losses, kept)
        note, metrics = as_note(context, results), run_metrics(context, results)
        log_results(store, run_id, metrics=metrics, folder=str(kept), note=note)
        version = register_model(
            store,
            run_id,
            servable_model(folders[0], markets, final),
            name=chosen.study_name,
            description=note,
            tags={"evaluation_run": run_id},
        )
    return Evaluated(
        text=as_text(context, results),
        run_id=run_id,
        model_name=chosen.study_name,
        model_version=version,
    )


def _plan(chosen: ChosenTrial, n_features: int, device: torch.device) -> TrainingPlan:
    """The training plan: the study's own where it is known, else what memory allows."""
    workload = Workload(device=device, n_features=n_features, batch_size=chosen.settings.batch_size)
    found = plan_memory(
        [chosen.architecture], workload, optimiser=chosen.optimiser, precision=chosen.precision
    )
    return found.training


def _train(
    context: EvaluationContext,
    final: WindowedData,
    *,
    settings: StudySettings,
    plan: TrainingPlan,
    folders: Sequence[Path],
    device: torch.device,
    progress: Progress,
) -> pd.DataFrame:
    """Train a network per seed and save each, so that one at a time is in memory.

    Returns the training losses, a column per folder and a row per epoch.
    """
    losses = {}
    trained = train_final_models(context, final.to(device), plan, progress)
    for folder, model in zip(folders, trained, strict=True):
        save_model(
            TrainedModel(
                network=model.network,
                architecture=context.chosen.architecture,
                feature_names=final.feature_names,
                markets=final.markets,
                scaling_mean=final.scaling_mean,
                scaling_std=final.scaling_std,
                task=settings.task.name,
                horizon_days=settings.horizon_days,
                label_price=context.chosen.label_price,
                trained_until=str(final.dates[final.train.numpy()].max()),
            ),
            folder,
        )
        losses[folder.name] = model.train_losses
    return pd.DataFrame(losses, index=pd.RangeIndex(1, context.epochs + 1, name="epoch"))


def _test(
    markets: Markets,
    data: WindowedData,
    folders: Sequence[Path],
    baselines: Sequence[Baseline],
    device: torch.device,
) -> TestResults:
    """Score the networks in `folders` and the baselines on the test span of `data`."""
    dates = data.dates[data.test.numpy()]
    in_time_order = np.argsort(dates, kind="stable")
    ends = data.test[torch.from_numpy(in_time_order)]
    several = len(data.markets) > 1
    return score_test_set(
        dates=dates[in_time_order],
        labels=data.labels[ends].numpy().astype(np.float64),
        network=np.stack(list(_probabilities(data.to(device), ends.to(device), folders))),
        baselines={each.name: each.predict(markets, data, ends) for each in baselines},
        horizon_days=data.horizon_days,
        markets=np.array(data.markets)[data.market_of(ends)] if several else None,
    )


def _probabilities(
    data: WindowedData, ends: torch.Tensor, folders: Sequence[Path]
) -> Iterator[npt.NDArray[np.float64]]:
    """The probabilities of the windows that end at the rows `ends`, by each network in turn."""
    for folder in folders:
        network = load_model(folder).network.to(data.features.device)
        yield torch.sigmoid(predict(network, data, ends).double()).cpu().numpy()

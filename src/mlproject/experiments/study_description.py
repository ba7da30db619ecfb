"""What the parent run says of a study before its first trial: settings, search space, data.

How the study went is said by `mlproject.analysis.summary`, when its launch ends.
"""

from collections.abc import Mapping

import optuna
import torch

from mlproject.data.market_table import market_table
from mlproject.data.markets import Markets
from mlproject.data.windows import WindowedData
from mlproject.experiments.study_files import StudyFiles
from mlproject.models.extremes import distinct_extremes
from mlproject.search.carried_over import WarmStart
from mlproject.search.sampler import PRUNERS, SAMPLERS
from mlproject.search.search_space import SearchSpace
from mlproject.text.escaping import for_spreadsheet
from mlproject.tracking.artifacts import log_text
from mlproject.tracking.names import (
    PLAN_OPTIMISER_PARAM,
    PLAN_PRECISION_PARAM,
    PLANNED_TRIALS_TAG,
)
from mlproject.tracking.saved_view import save_view
from mlproject.tracking.store import MLFLOW_VERSION, TrackingStore
from mlproject.tracking.study_run import log_study_dataset, log_study_params, log_study_values


def describe_study(
    store: TrackingStore,
    run_id: str,
    space: SearchSpace,
    *,
    markets: Markets,
    data: WindowedData,
    identity: Mapping[str, str | int],
    files: StudyFiles,
    warm: WarmStart | None,
) -> None:
    """Log what is known before the first trial: settings, search space, data, files, versions."""
    settings = space.settings
    extremes = distinct_extremes(space.grid)
    log_study_params(
        store,
        run_id,
        {
            **identity,
            "source_shape": markets.source_shape,
            "n_markets": len(data.markets),
            PLAN_OPTIMISER_PARAM: identity["optimiser"],
            PLAN_PRECISION_PARAM: identity["precision"],
            "n_trials": settings.n_trials,
            "n_architectures": len(space.grid.architectures),
            "forced_extremes": " ".join(extremes),
            **({} if warm is None else {"warm_start": warm.as_text()}),
            "train_windows": len(data.train),
            "validation_windows": len(data.validation),
            "test_windows": len(data.test),
            "train_base_rate": data.base_rate,
            "sampler": SAMPLERS[space.version],
            "pruner": PRUNERS[space.version],
            **{f"search.{name}": text for name, text in space.describe().items()},
            **{f"version.{m.__name__}": m.__version__ for m in (torch, optuna)},
            "version.mlflow": MLFLOW_VERSION,
        },
    )
    tags = {PLANNED_TRIALS_TAG: str(settings.n_trials), **files.as_tags()}
    log_study_values(store, run_id, metrics={}, tags=tags)
    save_view(store, settings.study_name)
    log_study_dataset(store, run_id, markets)
    table = for_spreadsheet(market_table(markets, data))
    log_text(store, run_id, table.to_csv(index=False), "markets.csv")

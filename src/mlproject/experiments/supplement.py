"""A supplement: planned from what MLflow holds of a study, and run as a launch of that study.

How it is planned stands in `mlproject.analysis.supplement`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from mlproject.analysis.supplement.plan import TRIALS_PER_VALUE, SupplementTrial
from mlproject.analysis.supplement.prepare import prepare_supplement
from mlproject.analysis.supplement.render import plan_text
from mlproject.data.bars import Bars
from mlproject.data.markets import Markets
from mlproject.experiments.storage import begun_identity, find_study_storage
from mlproject.experiments.study import StudyOutcome, run_study_in
from mlproject.experiments.study_files import study_files
from mlproject.experiments.workers.settings import WorkerSettings
from mlproject.search.study_settings import StudySettings
from mlproject.search.tracked_settings import connect_for_study, settings_as_tracked
from mlproject.tracking.analysis_run import log_launch
from mlproject.tracking.store import require_experiment
from mlproject.tracking.tracked_studies import read_studies, with_architectures

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SupplementOutcome:
    """The forced trials that close the gaps of a study, and how the study stands with them."""

    trials: tuple[SupplementTrial, ...]
    text: str
    """The trials as a table, and what they cost."""
    study: StudyOutcome | None
    """None where none was to be run."""


def supplement(
    settings: StudySettings,
    *,
    trials_per_value: int = TRIALS_PER_VALUE,
    dry_run: bool = False,
    data: Markets | Bars | str = "sp500",
    storage: str | None = None,
    device: str = "auto",
    workers: WorkerSettings | int = 1,
    tracking_uri: str | None = None,
    progress: Callable[[str], object] = _logger.info,
) -> SupplementOutcome:
    """Run the few forced trials that close the gaps that `audit` finds in the study of `settings`.

    >>> from mlproject import StudySettings, supplement
    >>> settings = StudySettings.parse("100k", horizon=3, max_epochs=1, max_steps=1)
    >>> planned = supplement(settings, dry_run=True)
    >>> planned.study is None
    True
    >>> print(planned.text.partition(":")[0])
    phase6a_100k_h3_threshold_1pct

    Args:
        settings: of the study as it was run; it has as many trials of its own as before.
        trials_per_value: trials for each value that was never tested.
        dry_run: plan the trials and what they cost; run none.
        data: as for `run_study`.
        storage: as for `run_study`.
        device: as for `run_study`.
        workers: as for `run_study`.
        tracking_uri: as for `run_study`.
        progress: is given the plan, and what `run_study` says.

    Raises:
        UserError: one of its kinds, as of `run_study`; or there is no such study.
    """
    store = require_experiment(connect_for_study(settings, tracking_uri))
    settings = settings_as_tracked(settings, store)
    tracked = with_architectures(store, read_studies(store))
    files = study_files(store, storage, settings.study_name)
    begun = begun_identity(find_study_storage(files.storage_url, settings.study_name, files.folder))
    planned = prepare_supplement(
        tracked, settings.as_begun(begun), trials_per_value=trials_per_value
    )
    text = plan_text(settings.study_name, planned.trials)
    progress(text)
    study = None
    if dry_run:
        log_launch(store, "supplement plan", texts={"supplement.txt": text})
    else:
        study = run_study_in(
            store,
            planned.settings,
            data=data,
            storage_url=storage,
            device=device,
            workers=workers,
            progress=progress,
            supplement=planned.queued_trials,
        )
    return SupplementOutcome(trials=planned.trials, text=text, study=study)

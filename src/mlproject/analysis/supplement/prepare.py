"""From a study in MLflow to its supplement."""

from dataclasses import dataclass, replace

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit import audit_study
from mlproject.analysis.find_study import find_study
from mlproject.analysis.supplement.plan import SupplementTrial, plan_supplement, queued_trial
from mlproject.search.search_space import SearchSpace
from mlproject.search.study_settings import StudySettings
from mlproject.search.trial_queue import QueuedTrial
from mlproject.tracking.tracked_studies import TrackedExperiment


@dataclass(frozen=True, kw_only=True)
class Supplement:
    """The trials that close a study's gaps, and the study they belong to."""

    settings: StudySettings
    """Of the study as it was planned: the supplement does not change how many trials it has."""
    space: SearchSpace
    trials: tuple[SupplementTrial, ...]

    @property
    def queued_trials(self) -> list[QueuedTrial]:
        """What is to be enqueued."""
        return [queued_trial(trial, self.space) for trial in self.trials]


def prepare_supplement(
    experiment: TrackedExperiment, settings: StudySettings, *, trials_per_value: int
) -> Supplement:
    """Audit the study and plan what closes its gaps.

    Raises:
        NoSuchStudy: there is no study of this name to supplement.
    """
    study = AnalysedStudy(find_study(experiment, settings.study_name, to="supplement"))
    space = SearchSpace.of(replace(settings, n_trials=study.planned), study.features_today)
    trials = plan_supplement(
        study, audit_study(study).gaps, space, trials_per_value=trials_per_value
    )
    return Supplement(settings=space.settings, space=space, trials=tuple(trials))

"""The plan of a supplement: which trials close the gaps, how they train, what they cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlproject.analysis.analysed_study import AnalysedStudy
from mlproject.analysis.audit.findings import Gap, UntestedExtreme
from mlproject.analysis.recommended import live_trials
from mlproject.analysis.supplement.cost import EpochTime, fit_epoch_time
from mlproject.analysis.supplement.cover import covering_architectures, gaps_closed_by
from mlproject.models.arch_grid import Architecture
from mlproject.search.search_space import SearchSpace
from mlproject.search.trial_queue import QueuedTrial
from mlproject.tracking.names import Tag
from mlproject.tracking.tracked_studies import TrackedTrial, ranked_trials

TRIALS_PER_VALUE = 3
"""One trial cannot tell a bad value from bad luck with the other settings."""

MODELS = 3
"""The training settings come from so many trials in turn, see `_models`."""


@dataclass(frozen=True, kw_only=True)
class SupplementTrial:
    """One forced trial of a supplement."""

    architecture: Architecture
    gaps: tuple[Gap, ...]
    """The gaps that it closes."""
    settings: Mapping[str, Any]
    """Training settings in the sampler's names; those that are absent the sampler chooses."""
    settings_of: int | None
    """Number of the trial whose settings these are."""
    seconds: float | None
    """About how long it takes; None where the study has no duration to judge by."""

    @property
    def label(self) -> str:
        """What the trial closes, such as ``n_layers=64+max_n_layers``."""
        return "+".join(str(gap) for gap in self.gaps)


def plan_supplement(
    study: AnalysedStudy,
    gaps: Sequence[Gap],
    space: SearchSpace,
    *,
    trials_per_value: int = TRIALS_PER_VALUE,
) -> list[SupplementTrial]:
    """Plan the trials that close the gaps, each with the training settings of a good trial."""
    models = _models(study)[:MODELS]
    epoch_time = fit_epoch_time(study)
    planned = []
    chosen = covering_architectures(space.grid, gaps, trials_per_value)
    for index, architecture in enumerate(chosen):
        model = models[index % len(models)] if models else None
        settings = space.nearest_settings(_by_name(model)) if model else {}
        planned.append(
            SupplementTrial(
                architecture=architecture,
                gaps=gaps_closed_by(architecture, gaps),
                settings=settings,
                settings_of=model.trial.trial_number if model else None,
                seconds=_seconds(epoch_time, architecture, settings, space),
            )
        )
    return planned


def queued_trial(planned: SupplementTrial, space: SearchSpace) -> QueuedTrial:
    """The entry in the study's queue for a planned trial."""
    attrs = {Tag.SUPPLEMENT.value: planned.label}
    for gap in planned.gaps:
        if isinstance(gap, UntestedExtreme):
            attrs[Tag.FORCED_EXTREME.value] = gap.label
    params: dict[str, Any] = space.architecture_params(planned.architecture)
    return QueuedTrial(params={**params, **planned.settings}, user_attrs=attrs)


def _models(study: AnalysedStudy) -> list[TrackedTrial]:
    """The trials whose settings are worth taking, the best first.

    They are of the architecture that the study recommends and of those that cannot be told from it;
    the luckiest ones where it recommends none.
    """
    found = study.recommendation
    if found is None:
        return ranked_trials(study.finished)
    own = {each.trial.trial_number: each for each in live_trials(study.tracked)}
    return [own[number] for number in found.trials_among_best if number in own]


def _by_name(trial: TrackedTrial) -> dict[str, Any]:
    return {str(param): value for param, value in trial.trial.params.items()}


def _seconds(
    epoch_time: EpochTime | None,
    architecture: Architecture,
    settings: Mapping[str, Any],
    space: SearchSpace,
) -> float | None:
    if epoch_time is None:
        return None
    most = int(space.ranges["epochs"].nearest(math.inf))
    return epoch_time.of_trial(architecture.n_layers, settings.get("epochs", most))

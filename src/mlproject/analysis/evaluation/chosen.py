"""The trial of a study that is evaluated, and what its run says of how it was trained."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from mlproject.analysis.dimensions import DIMENSIONS
from mlproject.analysis.recommended import recommended_trial
from mlproject.data.labels import LabelPrice
from mlproject.data.markets import Markets
from mlproject.errors import UserError
from mlproject.models.arch_grid import Architecture, Shape, architecture_grid
from mlproject.search.search_space import derived_seed
from mlproject.search.study_settings import StudySettings
from mlproject.tracking.names import (
    HYPERPARAMETER_PARAMS,
    PLAN_OPTIMISER_PARAM,
    PLAN_PRECISION_PARAM,
    RECOMMENDED_TRIAL_TAG,
    Metric,
    Origin,
    Param,
    Tag,
)
from mlproject.tracking.tracked_studies import TrackedStudy, TrackedTrial, ranked_trials
from mlproject.training.plan import OptimiserName, Precision
from mlproject.training.recipe import RECIPES
from mlproject.training.settings import (
    HYPERPARAMETERS,
    TrainingSettings,
    hyperparameters_of,
)

ASSUMED = {Param(row.name): row.assumed for row in HYPERPARAMETERS if row.assumed is not None}
"""Training settings that are taken where a trial's run does not say them."""

_DEFAULTS = [each.name for each in fields(TrainingSettings) if each.default is not MISSING]
_REQUIRED = (
    *DIMENSIONS,
    *(p for p in HYPERPARAMETER_PARAMS if p not in ASSUMED and p not in _DEFAULTS),
)
"""Without these a trial cannot be trained again: the architecture and the learning rate."""

_Choice = TypeVar("_Choice", OptimiserName, Precision)


class NothingToEvaluate(UserError):
    """The study has no trial that could be trained again."""


class OtherData(UserError):
    """The study was run on other bars, whose test span is another."""


@dataclass(frozen=True, kw_only=True)
class ChosenTrial:
    """The trial that a study recommends, or its luckiest, ready to be trained again."""

    study_name: str
    run_id: str
    number: int
    is_recovered: bool
    best_val_loss: float
    architecture: Architecture
    settings: TrainingSettings
    """The trial's own; the seed is to be replaced."""
    study_seed: int
    label_price: LabelPrice
    optimiser: OptimiserName | None
    """None where the study does not say."""
    precision: Precision | None
    """As `optimiser`."""
    best_epoch: int | None
    """The epoch of the lowest validation loss; None where the run does not tell it."""
    remarks: tuple[str, ...]
    """What was assumed or passed over on the way, in sentences for the reader."""


def choose_trial(
    study: TrackedStudy,
    settings: StudySettings,
    markets: Markets,
    losses_of: Callable[[str], Mapping[int, float]],
) -> ChosenTrial:
    """Choose the trial that the study recommends; where it recommends none, as where all its trials
    were recovered, the one with the lowest validation loss whose architecture is known.

    `losses_of` gives the validation loss per epoch of a run.

    Raises:
        NothingToEvaluate: no trial is complete with a loss, an architecture and a learning rate, or
            the chosen one's architecture or search space is none of today's.
        OtherData: the study says that it was run on other bars.
    """
    _check_data(study, markets)
    complete = ranked_trials(study.trials)
    usable = [t for t in complete if all(param in t.trial.params for param in _REQUIRED)]
    if not usable:
        raise NothingToEvaluate(
            f"study {study.study_name} has {len(study.trials)} trials, {len(complete)} of them "
            "complete and none with a known loss, architecture and learning rate: run the study "
            "on before you evaluate it"
        )
    recommended = recommended_trial(study)
    best = next((t for t in usable if t is recommended), usable[0])
    remarks = []
    if best is recommended and best is not usable[0]:
        remarks.append(
            "Recommended by the estimate over all trials; the lowest loss is that of trial "
            f"{usable[0].trial.trial_number}."
        )
    elif best is not complete[0]:
        passed = ", ".join(str(t.trial.trial_number) for t in complete[: complete.index(best)])
        remarks.append(f"Passed over, since no run proves their architecture: trials {passed}.")
    said = study.tags.get(RECOMMENDED_TRIAL_TAG)
    if said is not None and best is not recommended:
        remarks.append(
            f"The study recommends trial {said}, which no complete run shows; taken instead is the "
            "one of lowest loss."
        )
    training, assumed = _training_settings(best, study.params)
    losses = losses_of(best.run_id)
    best_epoch = min(losses, key=lambda epoch: (losses[epoch], epoch)) if losses else None
    if "data_digest" not in study.params:
        remarks.append("Nothing says which bars the study was run on; they are taken as given.")
    if assumed:
        remarks.append(f"Not known of the trial and assumed: {', '.join(assumed)}.")
    return ChosenTrial(
        study_name=study.study_name,
        run_id=best.run_id,
        number=best.trial.trial_number,
        is_recovered=best.trial.tags.get(Tag.ORIGIN) == Origin.LOG,
        best_val_loss=best.trial.metrics[Metric.BEST_VAL_LOSS],
        architecture=_architecture(best, settings, len(markets.feature_names)),
        settings=training,
        study_seed=_whole(study.params.get("seed")),
        label_price="high" if study.params.get("label_price") == "high" else "close",
        optimiser=_said(OptimiserName, study.params.get(PLAN_OPTIMISER_PARAM)),
        precision=_said(Precision, study.params.get(PLAN_PRECISION_PARAM)),
        best_epoch=best_epoch,
        remarks=tuple(remarks),
    )


def _check_data(study: TrackedStudy, markets: Markets) -> None:
    digest = study.params.get("data_digest", markets.digest)
    if digest != markets.digest:
        raise OtherData(
            f"study {study.study_name} was run on {study.params.get('data', 'other bars')} "
            f"(digest {digest}), not on {markets.source} (digest {markets.digest}): what is its "
            "test span here may have been trained on there; give --data the bars of the study"
        )


def _architecture(trial: TrackedTrial, settings: StudySettings, n_features: int) -> Architecture:
    """The trial's architecture as today's grid has it, with the features of today's data."""
    d_model, n_layers, n_heads, d_ff = (int(trial.trial.params[param]) for param in DIMENSIONS)
    grid = architecture_grid(settings.budget, n_features)
    try:
        return grid.find(Shape(d_model, n_layers, d_ff), n_heads)
    except KeyError:
        raise NothingToEvaluate(
            f"trial {trial.trial.trial_number} is the best of {settings.study_name}, but "
            f"d_model {d_model}, n_layers {n_layers}, n_heads {n_heads}, d_ff {d_ff} is no "
            f"architecture of {settings.budget.name} with today's {n_features} features"
        ) from None


def _training_settings(
    trial: TrackedTrial, study_params: Mapping[str, str]
) -> tuple[TrainingSettings, list[str]]:
    """The trial's settings, and in words those that had to be assumed."""
    known = trial.trial.params
    version = int(known.get(Param.SEARCH_SPACE, 1))
    if version not in RECIPES:
        raise NothingToEvaluate(
            f"trial {trial.trial.trial_number} was trained under search space {version}, and this "
            f"version of the program knows {', '.join(map(str, RECIPES))}: use the one that ran "
            "the study"
        )
    said = {Param(row.name) for row in hyperparameters_of(version)}
    assumed = {p: value for p, value in ASSUMED.items() if p in said and p not in known}
    values: dict[Param, Any] = {**known, **assumed}
    settings = TrainingSettings(
        **{param.value: values[param] for param in HYPERPARAMETER_PARAMS if param in values},
        max_steps=_whole(study_params.get("max_steps")),
        recipe=RECIPES[version],
        seed=derived_seed(_whole(study_params.get("seed")), trial.trial.trial_number),
    )
    return settings, [f"{param} {value:g}" for param, value in assumed.items()]


def _whole(text: str | None) -> int:
    """The number that a param of the study says; 0 where it says none."""
    return int(text) if text is not None and text.isdecimal() else 0


def _said(kind: type[_Choice], text: str | None) -> _Choice | None:
    """The choice that a param of the study names; None where it names none."""
    return kind(text) if text in [each.value for each in kind] else None

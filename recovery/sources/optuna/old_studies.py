"""What other programs' studies say of their trials in an Optuna storage, in the names of today.

An older program of this project's kind kept the architecture and the settings of a forced trial
among its attributes, and what a trial reached beside its value too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from mlproject.tracking.names import ATTR_TAGS, WHOLE_PARAMS, Metric, Param, Tag, TrialState
from recovery.sources.legacy_log.trials import SAMPLED
from recovery.tags import sampled_param

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TOO_LARGE = 10**18
"""No count of any study is, and no table holds more."""

_ARCHITECTURE = (Param.D_MODEL, Param.N_LAYERS, Param.N_HEADS, Param.D_FF, Param.PARAM_COUNT)
_FORCED = "forced_"
"""Before the name of a setting that was used instead of a sampled one."""
_NAMES = SAMPLED | {str(param): param for param in _ARCHITECTURE}
_D_FF_RATIO = "d_ff_ratio"
_METRICS = {
    "val_auc": Metric.VAL_AUC,
    "val_average_precision": Metric.VAL_AVERAGE_PRECISION,
    "val_accuracy": Metric.VAL_ACCURACY,
    "epochs_run": Metric.EPOCHS_RUN,
    "duration_seconds": Metric.DURATION_SECONDS,
    "duration_sec": Metric.DURATION_SECONDS,
}
_OBJECTIVES = (Metric.VAL_AUC, Metric.VAL_AVERAGE_PRECISION, Metric.VAL_ACCURACY)
"""What a study may maximise."""

NOT_A_LOSS = "its study maximises its value, so it is no loss, and nothing says what it is"
SEVERAL = "its study has several objectives"


def objective_of(study: "Study", trials: Sequence["FrozenTrial"]) -> Metric | str:
    """What the values of a study are, or why they are nothing that has a name."""
    if len(study.directions) > 1:
        return SEVERAL
    if study.direction.name != "MAXIMIZE":
        return Metric.BEST_VAL_LOSS
    ended = [trial for trial in trials if trial.state.name == "COMPLETE"]
    for metric in _OBJECTIVES:
        if ended and all(trial.user_attrs.get(metric) == trial.value for trial in ended):
            return metric
    return NOT_A_LOSS


def params_and_tags(
    trial: "FrozenTrial",
) -> tuple[dict[Param, int | float | str], dict[str, str]]:
    """The settings of a trial, and as tags what has no name today or was not used."""
    attrs = trial.user_attrs
    forced = {
        name.removeprefix(_FORCED): value
        for name, value in attrs.items()
        if name.startswith(_FORCED) and name != Tag.FORCED_EXTREME
    }
    params: dict[Param, int | float | str] = {}
    tags: dict[str, str] = {}
    for name, value in trial.params.items():
        param = _NAMES.get(name)
        if param is None or not _fits(param, value) or name in forced:
            tags[sampled_param(name)] = str(value)
        else:
            params[param] = value
    for name, value in forced.items():
        param = _NAMES.get(name)
        if param is not None and _fits(param, value):
            params[param] = value
    params |= {p: attrs[p] for p in _ARCHITECTURE if _is_whole(attrs.get(p))}
    ratio = forced.get(_D_FF_RATIO, trial.params.get(_D_FF_RATIO))
    if _is_whole(ratio) and Param.D_MODEL in params and Param.D_FF not in params:
        params[Param.D_FF] = int(params[Param.D_MODEL]) * int(ratio)
    return params, tags | _attr_tags(attrs)


def metrics_of(
    trial: "FrozenTrial", state: TrialState, objective: Metric | str
) -> dict[Metric, float]:
    """What a trial reached: its value, under the name of what the study asked for, and the rest."""
    found = {
        metric: float(trial.user_attrs[name])
        for name, metric in _METRICS.items()
        if _is_number(trial.user_attrs.get(name))
    }
    if state is TrialState.COMPLETE and trial.values and isinstance(objective, Metric):
        found[objective] = trial.values[0]
    return found


def _attr_tags(attrs: Mapping[str, Any]) -> dict[str, str]:
    """Tags that go by the name of an attribute; false is as good as absent."""
    known = [tag for tag in ATTR_TAGS if tag in attrs and attrs[tag] is not False]
    tags = {tag.value: str(attrs[tag]) for tag in known}
    if attrs.get(Tag.FORCED_EXTREME) is True:
        tags[Tag.FORCED_EXTREME.value] = str(attrs.get("extreme_type", "true"))
    if attrs.get(Tag.DIVERGED) is True:
        tags[Tag.DIVERGED.value] = "true"
    return tags


def _fits(param: Param, value: object) -> bool:
    return _is_whole(value) if param in WHOLE_PARAMS else _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < TOO_LARGE

"""The smaller studies of a storage from which a new one can begin, and what it takes from them."""

from collections.abc import Mapping
from dataclasses import replace

import optuna

from mlproject.experiments.storage import StudyStorage
from mlproject.models.budget import parse_budget
from mlproject.search.carried_over import WarmStart, warm_start_of
from mlproject.search.search_space import SearchSpace
from mlproject.search.warm_start import SmallerStudy, carry_over
from mlproject.tracking.names import IDENTITY_ATTR, IMPLIED_IDENTITY

_SAME_TASK = ("experiment", "horizon", "task")
_SAME_LOSSES = (
    "label_price",
    "data_digest",
    "n_features",
    "search_space",
    "batch_size",
    "max_steps",
    "validation",
)
"""Where one of these differs, what was best there says too little here."""


def warm_start(
    storage: StudyStorage, identity: Mapping[str, str | int], space: SearchSpace, *, is_asked: bool
) -> WarmStart | None:
    """What the study began with; before it has begun, what smaller ones of its task recommend.

    None of studies that began before there was a warm start.
    """
    names = optuna.get_all_study_names(storage.rdb)
    if storage.study_name in names:
        study = optuna.load_study(study_name=storage.study_name, storage=storage.rdb)
        if IDENTITY_ATTR in study.user_attrs:
            return warm_start_of(study)
    if not (is_asked and space.has_replicates):
        return WarmStart()
    found: list[SmallerStudy] = []
    remarks: list[str] = []
    for name in names:
        study = optuna.load_study(study_name=name, storage=storage.rdb)
        there = {**IMPLIED_IDENTITY, **study.user_attrs.get(IDENTITY_ATTR, {})}
        if any(there.get(key) != identity[key] for key in _SAME_TASK):
            continue
        budget = parse_budget(str(there["budget"]))
        if budget.parameters >= space.settings.budget.parameters:
            continue
        differences = [
            f"{key} is {there.get(key)} there and {identity[key]} here"
            for key in _SAME_LOSSES
            if there.get(key) != identity[key]
        ]
        if differences:
            remarks.append(f"{name} is not used ({'; '.join(differences)})")
            continue
        settings = replace(
            space.settings,
            budget=budget,
            grid_version=int(there["grid_version"]),
            max_epochs=int(there["max_epochs"]),
            seed=int(there["seed"]),
        )
        its_space = SearchSpace.of(settings, space.grid.num_features)
        found.append(SmallerStudy(name=name, space=its_space, trials=study.get_trials()))
    return WarmStart(carried_over=carry_over(found, space), remarks=tuple(remarks))

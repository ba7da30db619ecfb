"""How many trials a study is to have: as its launch says, or as its user has said since in MLflow.

What was said in MLflow is kept in Optuna's storage and holds for every launch by the same command.
A command with another `n_trials` is a later word.
"""

import optuna

from mlproject.experiments.storage import StudyStorage
from mlproject.tracking.names import N_TRIALS_ATTR

_INSTEAD_OF = "instead_of"
_N_TRIALS = "n_trials"


def planned_trials(storage: StudyStorage | None, n_trials: int) -> int:
    """How many trials the study is to have that a launch asks `n_trials` of."""
    if storage is None or storage.study_name not in optuna.get_all_study_names(storage.rdb):
        return n_trials
    study = optuna.load_study(study_name=storage.study_name, storage=storage.rdb)
    kept = study.user_attrs.get(N_TRIALS_ATTR, {})
    return int(kept[_N_TRIALS]) if kept.get(_INSTEAD_OF) == n_trials else n_trials


def keep_planned_trials(study: optuna.Study, n_trials: int, *, instead_of: int) -> None:
    """Keep how many trials a study is to have instead of what its launch asks for."""
    study.set_user_attr(N_TRIALS_ATTR, {_N_TRIALS: n_trials, _INSTEAD_OF: instead_of})
